/*
 * The first rung of the presence ladder: NetServerGetInfo, level 101, as an anonymous client
 * (Q226113). It is libnetapi's, which opens a session of its own for it on port 445 and no other;
 * that session ends with this process. Whoever starts it sets the deadline, and kills: a server
 * that is silent after a connect would hold it for 20 s.
 */
#ifndef SMB_SERVERINFO_H
#define SMB_SERVERINFO_H

/*
 * Ask the server at `args[0]` (a name or a numeric address) and write one JSON document to standard
 * output:
 *
 *     {"status":0,"said":"","name":"DP1","version":"6.1","type":8423939}
 *
 * `status` is the call's own (0, or a Win32 or LAN Manager error number); `said` what Samba's
 * libraries printed meanwhile, which for most failures is all that tells them apart. The other
 * members are there with status 0 only. Returns the exit code: 0 once that was written.
 */
int serverinfo_main(char **args);

#endif
