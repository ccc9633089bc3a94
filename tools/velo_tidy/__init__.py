# SPDX-License-Identifier: Apache-2.0
"""The checks behind tools/tidy: one module per kind of rule, tables in the .toml files beside tools/tidy."""
