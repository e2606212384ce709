/*
 * What moves on the server's connection, for the owner to judge its pace by: libsmbclient's calls
 * return when all is done, which for a long read over a slow line is many seconds.
 *
 *     gauge_begin → … a call of libsmbclient … → gauge_end
 *
 * In between a timer looks at the connection's counters (TCP_INFO) five times a second. One for the
 * process.
 */
#ifndef SMB_GAUGE_H
#define SMB_GAUGE_H

#include <stdbool.h>

#include "nal/smbwire.h"

/* Set up, with the place to write to. */
bool gauge_init(struct smbwire_gauges *gauges);

void gauge_begin(void);
void gauge_end(void);

/* True while the owner is in the middle of a transfer (smbsession_hold). */
bool gauge_is_held(void);

/* The socket of the established connection; -1: there is none. */
int gauge_socket(void);

#endif
