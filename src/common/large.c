#include "common/large.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/alloc.h"

#define PAGE ((size_t)2 << 20)

static size_t whole_pages(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* What is left over behind whole pages gets one only if it fills half of it. */
static size_t advised_of(size_t size)
{
	return (size + PAGE / 2) / PAGE * PAGE;
}

void *large_alloc(size_t size)
{
	void *memory;

	if (size < LARGE_FROM)
		return alloc_resize(NULL, size);
	memory = aligned_alloc(PAGE, whole_pages(size));
	if (memory == NULL)
		return alloc_resize(NULL, size); /* which tells if there is none at all */
	(void)madvise(memory, advised_of(size), MADV_HUGEPAGE);
	return memory;
}

void large_populate(void *memory, size_t size)
{
	uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	uintptr_t first = ((uintptr_t)memory + mask) & ~mask;
	uintptr_t end = ((uintptr_t)memory + size) & ~mask;

	/* Older kernels and odd places do without. */
	if (end > first)
		(void)madvise((void *)first, end - first, MADV_POPULATE_WRITE);
}

void large_reserve(struct buf *b, size_t size)
{
	if (size < b->capacity)
		return;
	if (size < LARGE_FROM) {
		large_populate(buf_reserve(b, size - b->size), size - b->size);
		return;
	}
	/* Room for what comes later too, which is seldom as large: it costs nothing until then. */
	size = whole_pages(size + 1);
	buf_move(b, large_alloc(size), size);
}
