/*
 * One server a session, whatever that server says: a share may refer to another one (DFS), and
 * libsmbclient would log on there with the same account, without asking. That would be a second
 * session, to a server that nobody chose, perhaps behind a fence, under the first one's name.
 *
 * libsmbclient offers no switch for it. So this file defines connect() once more, and the dynamic
 * linker prefers the program's: the first address is the only one for connections to SMB ports, or
 * those of a name are. Others, as to a KDC, are nobody's business here.
 *
 * Whoever means the other server adds it to the site under its own name.
 */
#ifndef SMB_ONESERVER_H
#define SMB_ONESERVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * From now on. `port` is the server's, which is an SMB port beside 445 and 139. `name`:
 * libsmbclient is given that name, which is looked up here as well; NULL: it is given an address.
 */
void oneserver_begin(const char *name, uint16_t port);

/* True if another server was to be connected to since the last call. */
bool oneserver_was_left(void);

#endif
