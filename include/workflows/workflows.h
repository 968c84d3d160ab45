#pragma once
// The C++ API.

#include <workflows/client.h>
#include <workflows/codec.h>
#include <workflows/config.h>
#include <workflows/engine.h>
#include <workflows/error.h>
#include <workflows/failure.h>
#include <workflows/history.h>
#include <workflows/instance_info.h>
#include <workflows/maintenance.h>
#include <workflows/replay.h>
#include <workflows/rollback.h>
#include <workflows/step.h>
#include <workflows/subscription.h>
#include <workflows/time.h>
#include <workflows/workflow.h>
