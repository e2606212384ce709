/*
 * Which start of the machine this is: what a process wrote without a flush counts in the same one
 * alone (proc_sys_kernel(5), random/boot_id).
 */
#ifndef COMMON_BOOTID_H
#define COMMON_BOOTID_H

#define BOOTID_SIZE 37 /* with its terminator */

/* Fill `dst`, of BOOTID_SIZE bytes; "" where the kernel does not say. */
void bootid_read(char *dst);

#endif
