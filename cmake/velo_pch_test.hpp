// SPDX-License-Identifier: Apache-2.0
// What nearly every test includes, precompiled by VELO_PCH.
// Not a header to include: see velo_pch.hpp.
// Threading: none.
#pragma once

#include "velo_pch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
