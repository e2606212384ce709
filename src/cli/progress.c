#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/text.h"

#define REDRAW_MS 100
#define BAR_WIDTH 24

void progress_begin(struct progress *p, const char *title, const struct clock *clock,
		    bool is_wanted)
{
	*p = (struct progress){
		.is_shown = is_wanted && isatty(STDERR_FILENO),
		.clock = clock,
		.began_ms = clock_mono_ms(clock),
	};
	text_escape_line(p->title, sizeof(p->title), title);
}

static void print_left(char *dst, size_t size, uint64_t seconds)
{
	if (seconds >= 3600)
		snprintf(dst, size, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(dst, size, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
}

static void print_bar(char *dst, uint64_t done, uint64_t total)
{
	int filled = (int)((double)done / (double)total * BAR_WIDTH);

	for (int i = 0; i < BAR_WIDTH; i++)
		dst[i] = i < filled ? '#' : '.';
	dst[BAR_WIDTH] = '\0';
}

void progress_line(char *dst, size_t size, const char *title, uint64_t done, uint64_t total,
		   uint64_t elapsed_ms)
{
	uint64_t rate = elapsed_ms > 0 ? done * 1000 / elapsed_ms : 0;
	char done_text[32], total_text[32], rate_text[32], left[24], bar[BAR_WIDTH + 1];

	text_print_size(done_text, done);
	text_print_size(rate_text, rate);
	if (total == 0) {
		snprintf(dst, size, "%s  %s  %s/s", title, done_text, rate_text);
		return;
	}
	text_print_size(total_text, total);
	print_bar(bar, MIN_OF(done, total), total);
	print_left(left, sizeof(left), rate > 0 && done < total ? (total - done) / rate : 0);
	snprintf(dst, size, "%s [%s] %s of %s  %s/s  %s left", title, bar, done_text, total_text,
		 rate_text, left);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	uint64_t now_ms;
	char line[200];

	if (!p->is_shown)
		return;
	now_ms = clock_mono_ms(p->clock);
	if (p->drawn_ms != 0 && now_ms - p->drawn_ms < REDRAW_MS && done < total)
		return;
	p->drawn_ms = now_ms;
	progress_line(line, sizeof(line), p->title, done, total, now_ms - p->began_ms);
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->is_shown && p->drawn_ms != 0)
		fputs("\r\033[K", stderr);
	p->is_shown = false;
}
