/*
 * What the static analyser cannot see, since it looks at one file at a time: functions that record
 * a fault return false always. Given to it alone, before every source but error.c.
 */
#include "common/error.h"

#define err_set(...)  ((void)err_set(__VA_ARGS__), false)
#define err_sys(...)  ((void)err_sys(__VA_ARGS__), false)
#define err_what(...) ((void)err_what(__VA_ARGS__), false)
#define err_fix(...)  ((void)err_fix(__VA_ARGS__), false)
