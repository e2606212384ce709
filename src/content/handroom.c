#include "content/handroom.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/path.h"
#include "content/handover.h"

static int make_file(size_t size_bytes, struct err *err)
{
	int fd = memfd_create("packway-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		err_sys(err, ERR_MEMORY, errno, "shared memory");
		path_close_fd(&fd);
	}
	return fd;
}

bool handroom_make(struct handroom *r, struct err *err)
{
	r->hands = make_file(HANDOVER_HANDS_BYTES, err);
	if (r->hands >= 0)
		r->slots = make_file(HANDOVER_SLOTS_BYTES, err);
	return r->slots >= 0;
}

static bool map_at(uint8_t *at, size_t size_bytes, int fd)
{
	return mmap(at, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
	       MAP_FAILED;
}

bool handroom_map(struct handroom *r, struct err *err)
{
	void *at = mmap(NULL, HANDOVER_ROOM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return err_sys(err, ERR_MEMORY, errno, "map shared memory");
	r->at = at;
	return (map_at(r->at, HANDOVER_HANDS_BYTES, r->hands) &&
		map_at(r->at + HANDOVER_HANDS_BYTES, HANDOVER_SLOTS_BYTES, r->slots)) ||
	       err_sys(err, ERR_MEMORY, errno, "map shared memory");
}

void handroom_release(struct handroom *r)
{
	if (r->at != NULL)
		(void)munmap(r->at, HANDOVER_ROOM_BYTES);
	r->at = NULL;
	path_close_fd(&r->hands);
	path_close_fd(&r->slots);
}
