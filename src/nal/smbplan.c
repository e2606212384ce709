#include "nal/smbplan.h"

void smbplan_init(struct smbplan *p, const struct way_range *ranges, size_t count, uint64_t gap_max)
{
	*p = (struct smbplan){ .ranges = ranges, .count = count, .gap_max = gap_max };
}

static uint64_t end_of(const struct way_range *r)
{
	return r->offset + r->size;
}

/* The first range whose end lies behind `pos`, from `i` on. */
static size_t range_behind(const struct smbplan *p, size_t i, uint64_t pos)
{
	while (i < p->count && end_of(&p->ranges[i]) <= pos)
		i++;
	return i;
}

bool smbplan_peek(uint64_t *offset_out, const struct smbplan *p)
{
	if (p->at == p->count)
		return false;
	*offset_out = MAX_OF(p->from, p->ranges[p->at].offset);
	return true;
}

bool smbplan_next(struct smbplan *p, struct way_range *out, uint64_t piece_max)
{
	uint64_t start, end;
	size_t last = p->at;

	if (!smbplan_peek(&start, p))
		return false;
	end = MIN_OF(end_of(&p->ranges[p->at]), start + piece_max);
	while (last + 1 < p->count && end == end_of(&p->ranges[last]) &&
	       p->ranges[last + 1].offset - end <= p->gap_max &&
	       p->ranges[last + 1].offset < start + piece_max) {
		last++;
		end = MIN_OF(end_of(&p->ranges[last]), start + piece_max);
	}
	*out = (struct way_range){ .offset = start, .size = end - start };
	p->from = end;
	p->at = range_behind(p, p->at, end);
	return true;
}

bool smbplan_deliver(struct smbplan *p, uint64_t offset, struct span bytes, way_sink_fn *sink,
		     void *ctx)
{
	while (bytes.size > 0 && p->got < p->count) {
		const struct way_range *r = &p->ranges[p->got];
		uint64_t next = r->offset + p->got_of;
		size_t n;

		if (offset < next) {
			n = (size_t)MIN_OF((uint64_t)bytes.size, next - offset);
		} else {
			n = (size_t)MIN_OF(r->size - p->got_of,
					   MIN_OF(bytes.size, SMBPLAN_HANDOVER));
			if (!sink(p->got, span_of(bytes.data, n), ctx))
				return false;
			p->got_of += n;
		}
		bytes = span_skip(bytes, n);
		offset += n;
		if (p->got_of == r->size) {
			p->got++;
			p->got_of = 0;
		}
	}
	return true;
}

uint64_t smbplan_gap(uint64_t bytes_per_s, uint32_t rtt_us)
{
	uint64_t gap = bytes_per_s / 1000 * (rtt_us / 1000);

	return MAX_OF(SMBPLAN_GAP_MIN, MIN_OF(gap, SMBPLAN_GAP_MAX));
}
