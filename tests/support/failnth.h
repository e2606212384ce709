/*
 * Make the n-th system call that changes the disk fail: link with the failnth dependency, which
 * wraps open, write, fsync, syncfs, rename and mkdir of everything in the test program.
 *
 * Flushes are counted, but never carried out.
 *
 *     for (n = 1; ; n++) {
 *             failnth_arm(n);
 *             done = what_is_tested();
 *             if (!failnth_disarm())
 *                     break;          n is past the last call: the run was a good one
 *             … look at what is left …
 *     }
 */
#ifndef TESTS_SUPPORT_FAILNTH_H
#define TESTS_SUPPORT_FAILNTH_H

#include <stdbool.h>

/* Let the n-th call from now on (from 1) fail with ENOSPC; calls after it work again. */
void failnth_arm(unsigned int n);

/* The same, and every call after it fails too: the process as good as died there. */
void failnth_arm_for_good(unsigned int n);

/* Back to normal. Returns whether a call failed. */
bool failnth_disarm(void);

#endif
