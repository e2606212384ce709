#include "common/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/macros.h"

/* What the handler knows of a mapping. Free while `end` is 0. */
struct place {
	atomic_uintptr_t begin, end;
	atomic_bool is_damaged;
};

/* The handler gets nothing from us but this. */
static struct place places[MAPPED_MAX];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static uintptr_t page_size;

static struct place *place_of(uintptr_t address)
{
	for (size_t i = 0; i < MAPPED_MAX; i++)
		if (address >= atomic_load(&places[i].begin) &&
		    address < atomic_load(&places[i].end))
			return &places[i];
	return NULL;
}

static bool put_zeros(uintptr_t address)
{
	void *page = (void *)(address - address % page_size);

	return mmap(page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	       MAP_FAILED;
}

/* Calls the kernel and atomics alone, as a handler may. Who was interrupted then tries again. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	bool was_sent = info->si_code <= 0; /* by somebody: it has no address, and comes once */
	uintptr_t address = (uintptr_t)info->si_addr;
	struct place *place = was_sent ? NULL : place_of(address);
	int saved = errno;

	(void)context;
	if (place != NULL && put_zeros(address))
		atomic_store(&place->is_damaged, true);
	else
		sigaction(number, &before, NULL);
	if (was_sent)
		raise(number);
	errno = saved;
}

static void watch(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_RESTART };

	page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

static bool take_place(unsigned *out, const void *at, size_t size)
{
	unsigned n = 0;

	pthread_mutex_lock(&places_lock);
	while (n < MAPPED_MAX && atomic_load(&places[n].end) != 0)
		n++;
	if (n < MAPPED_MAX) {
		atomic_store(&places[n].is_damaged, false);
		atomic_store(&places[n].begin, (uintptr_t)at);
		atomic_store(&places[n].end, (uintptr_t)at + size);
	}
	pthread_mutex_unlock(&places_lock);
	*out = n;
	return n < MAPPED_MAX;
}

bool mapped_open(struct mapped *m, int fd, size_t size)
{
	struct stat st;
	void *at;

	*m = (struct mapped){ .at = NULL };
	pthread_once(&once, watch);
	if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < size)
		return false;
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return false;
	if (!take_place(&m->place, at, size)) {
		munmap(at, size);
		return false;
	}
	m->at = at;
	m->size = size;
	return true;
}

void mapped_close(struct mapped *m)
{
	if (m->at == NULL)
		return;
	pthread_mutex_lock(&places_lock);
	atomic_store(&places[m->place].end, 0);
	pthread_mutex_unlock(&places_lock);
	munmap((void *)(uintptr_t)m->at, m->size);
	*m = (struct mapped){ .at = NULL };
}

bool mapped_is_whole(const struct mapped *m)
{
	/* Not before the bytes were read: the handler runs in between, unseen by the compiler. */
	atomic_signal_fence(memory_order_seq_cst);
	return !atomic_load_explicit(&places[m->place].is_damaged, memory_order_relaxed);
}
