# SPDX-License-Identifier: Apache-2.0
"""The runner behind tools/lint."""
