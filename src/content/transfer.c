#include "content/transfer.h"

uint64_t transfer_pace_wait_ms(struct transfer_pace *pace, uint64_t bytes, uint64_t now_ms)
{
	uint64_t now_us = now_ms * 1000;
	uint64_t earliest_us = now_us > TRANSFER_BURST_MS * 1000 ? now_us - TRANSFER_BURST_MS * 1000
								 : 0;

	if (pace->rate_bps == 0)
		return 0;
	/* Time that passed without a transfer is not saved up, or a pause would end in a flood. */
	pace->due_us = MAX_OF(pace->due_us, earliest_us);
	/* Divided in two steps: bytes * 1000000 of a big piece stays far from overflow anyway, but
	 * the remainder matters at rates above 1 MB/s. */
	pace->due_us += bytes / pace->rate_bps * 1000000 +
			bytes % pace->rate_bps * 1000000 / pace->rate_bps;
	return pace->due_us > now_us ? (pace->due_us - now_us) / 1000 : 0;
}
