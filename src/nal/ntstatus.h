/*
 * What an SMB server's status says about it: NTSTATUS codes and their names (MS-ERREF section 2.3)
 * as failure classes.
 *
 * PURE.
 */
#ifndef NAL_NTSTATUS_H
#define NAL_NTSTATUS_H

#include <stdint.h>

#include "nal/class.h"

#define NTSTATUS_SUCCESS         0x00000000u
#define NTSTATUS_PENDING         0x00000103u /* the answer comes later (MS-SMB2 3.2.5.1.5) */
#define NTSTATUS_ACCESS_DENIED   0xc0000022u
#define NTSTATUS_MORE_PROCESSING 0xc0000016u /* one more leg of a session setup */

/* The class of a code; NAL_CLASS_UNKNOWN where it says nothing that we know. */
enum nal_class ntstatus_class(uint32_t code);

/* "NT_STATUS_ACCESS_DENIED", …; NULL for a code that is not in the table. */
const char *ntstatus_name(uint32_t code);

/*
 * The class that the first name of a code in `text` stands for, wherever it stands: Samba's
 * libraries print it and return something else. NAL_CLASS_UNKNOWN if there is none that we know.
 */
enum nal_class ntstatus_class_in(const char *text);

#endif
