/*
 * The NTSTATUS behind libsmbclient's errno, which folds "the server takes no more connections",
 * "the account is locked" and "no such thing" into EINVAL.
 *
 * libsmbclient turns one into the other by a function of another Samba library; this file defines
 * that function once more, and the dynamic linker prefers the program's. It looks the value up in
 * the original. Should a later Samba go another way, the status is just not known.
 */
#ifndef SMB_NTERRNO_H
#define SMB_NTERRNO_H

#include <stdint.h>

/* Forget the last one. */
void nterrno_reset(void);

/* The last failure that was translated since then; 0: none. */
uint32_t nterrno_last(void);

#endif
