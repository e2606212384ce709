#include "site/group.h"

#include <inttypes.h>
#include <string.h>

#include "common/alloc.h"
#include "common/netaddr.h"
#include "common/text.h"
#include "nal/locator.h"
#include "site/checks.h"
#include "site/vantage.h"

/* "OTHER[:MINUTES]": the name is copied to `name_out`, which the caller frees. */
static bool read_neighbour(char **name_out, int64_t *minutes_out, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t minutes = GROUP_AFTER_DEFAULT_MIN;

	if (colon != NULL && !text_u64(&minutes, colon + 1, 0, GROUP_AFTER_MAX_MIN))
		return err_set(err, ERR_USAGE,
			       "neighbour \"%s\": \"%s\" is not a number of minutes up to %d", text,
			       colon + 1, GROUP_AFTER_MAX_MIN);
	*name_out = alloc_printf("%.*s", colon != NULL ? (int)(colon - text) : (int)strlen(text),
				 text);
	*minutes_out = (int64_t)minutes;
	return true;
}

static bool read_default_after(struct db_value *out, const char *text, struct err *err)
{
	uint64_t minutes;

	*out = db_int(GROUP_AFTER_DEFAULT_MIN);
	if (text == NULL)
		return true;
	*out = db_null();
	if (strcmp(text, "never") == 0)
		return true;
	if (!text_u64(&minutes, text, 0, GROUP_AFTER_MAX_MIN))
		return err_set(
			err, ERR_USAGE,
			"--default-after: \"%s\" is neither \"never\" nor a number of minutes up to %d",
			text, GROUP_AFTER_MAX_MIN);
	*out = db_int((int64_t)minutes);
	return true;
}

bool group_check(struct site *site, const char *name, struct err *err)
{
	int64_t exists;

	if (name == NULL)
		return true;
	if (!db_number(&exists, site->db, STMT_GROUP_EXISTS, DB_ARGS(db_text(name)), 0, err))
		return false;
	if (exists)
		return true;
	err_set(err, ERR_NOT_FOUND, "there is no boundary group \"%s\"", name);
	return err_fix(err, "add it first: packway-site group add %s", name);
}

static bool add_neighbour(struct site *site, const struct group_spec *spec, const char *text,
			  struct err *err)
{
	SCOPED_TEXT char *other = NULL;
	int64_t minutes = 0;

	if (!read_neighbour(&other, &minutes, text, err))
		return false;
	if (strcmp(other, spec->name) == 0)
		return err_set(err, ERR_USAGE, "group \"%s\" cannot be its own neighbour", other);
	if (!text_is_name(other))
		return err_set(err, ERR_USAGE, "neighbour \"%s\" is not the name of a group", text);
	if (db_run(site->db, STMT_GROUP_ADD_NEIGHBOUR,
		   DB_ARGS(db_text(spec->name), db_text(other), db_int(minutes)), err))
		return true;
	if (err->code == ERR_EXISTS)
		err_set(err, ERR_USAGE, "neighbour \"%s\" is given twice", other);
	return false;
}

static bool add_preferred(struct site *site, const struct group_spec *spec, size_t position,
			  struct err *err)
{
	const char *server = spec->prefer[position];
	SCOPED(locator) struct locator where = { 0 };
	int64_t exists;
	struct err ignored;

	if (!db_number(&exists, site->db, STMT_SYSTEM_NAME_IS_KNOWN, DB_ARGS(db_text(server)), 0,
		       err))
		return false;
	if (!exists && !locator_parse(&where, server, &ignored))
		return err_set(err, ERR_NOT_FOUND,
			       "--prefer: there is no CAP or DP \"%s\", and it is no locator",
			       server);
	return db_run(site->db, STMT_GROUP_ADD_PREFERRED,
		      DB_ARGS(db_text(spec->name), db_int((int64_t)position), db_text(server)),
		      err);
}

static bool add_rows(struct site *site, const struct group_spec *spec, struct err *err)
{
	struct db_value default_after;

	if (!read_default_after(&default_after, spec->default_after, err))
		return false;
	if (!db_run(site->db, STMT_GROUP_ADD,
		    DB_ARGS(db_text(spec->name), default_after, db_int(spec->fence),
			    db_text(spec->policy), db_int(spec->cross_tier),
			    spec->max_rate > 0 ? db_int((int64_t)spec->max_rate) : db_null(),
			    db_text(spec->window)),
		    err)) {
		if (err->code != ERR_EXISTS)
			return false;
		err_set(err, ERR_EXISTS, "there is a boundary group \"%s\" already", spec->name);
		return err_fix(err, "a group is not changed in place: remove it and add it anew");
	}
	for (size_t i = 0; i < spec->neighbour_count; i++)
		if (!add_neighbour(site, spec, spec->neighbours[i], err))
			return false;
	for (size_t i = 0; i < spec->prefer_count; i++)
		if (!add_preferred(site, spec, i, err))
			return false;
	return true;
}

static bool lockout(const struct group_spec *spec, const char *kind, struct err *err)
{
	err_set(err, ERR_REFUSED,
		"group \"%s\": policy preferred-only without a preferred %s leaves no candidate",
		spec->name, kind);
	return err_fix(err, "name servers with --prefer, or choose another policy");
}

/*
 * A group that may use preferred servers only, and prefers no CAP, or no DP, would cut its clients
 * off; without a CAP not even a better policy would reach them (Q235873). Inside the transaction
 * that adds it.
 */
static bool check_lockout(struct site *site, const struct group_spec *spec, struct err *err)
{
	SCOPED(vantage) struct vantage vantage = { 0 };

	if (spec->policy == NULL || strcmp(spec->policy, "preferred-only") != 0)
		return true;
	if (spec->prefer_count == 0)
		return lockout(spec, "server", err);
	if (!vantage_open(&vantage, site, err))
		return false;
	for (size_t kind = 0; kind < KIND_COUNT_; kind++) {
		SCOPED(select_result) struct select_result result = { 0 };

		vantage_ask(&result, &vantage, vantage_group(&vantage, spec->name),
			    (enum kind)kind);
		if (result.count > 0 && result.wait == SELECT_WAIT_CHANGE)
			return lockout(spec, kind == KIND_CAP ? "CAP" : "DP", err);
	}
	return true;
}

bool group_add(struct site *site, const struct group_spec *spec, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) && add_rows(site, spec, err) &&
	       check_lockout(site, spec, err) && site_commit_policy(site, err);
}

bool group_remove(struct site *site, const char *name, struct err *err)
{
	SITE_UNDO struct site *undo = site;

	return site_begin(site, err) && group_check(site, name, err) &&
	       checks_unused(site, STMT_GROUP_USERS, "group", name, err) &&
	       db_run(site->db, STMT_GROUP_FORGET_REMOVED, DB_ARGS(db_text(name)), err) &&
	       db_run(site->db, STMT_GROUP_REMOVE, DB_ARGS(db_text(name)), err) &&
	       site_commit_policy(site, err);
}

bool group_list_strangers(json_t **out, struct site *site, const char *name, struct err *err)
{
	return db_list(out, site->db, STMT_GROUP_STRANGERS, DB_ARGS(db_text(name)), err);
}

bool group_list(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_GROUP_LIST, DB_NO_ARGS, err);
}

bool group_show(json_t **out, struct site *site, const char *name, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_GROUP_SHOW, DB_ARGS(db_text(name)));

	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err) && group_check(site, name, err);
	*out = db_rows_json(&rows);
	return true;
}

static bool read_network(char *text_out, const char *cidr, struct err *err)
{
	struct netaddr_net net;

	if (!netaddr_parse_net(&net, cidr))
		return err_set(
			err, ERR_USAGE,
			"\"%s\" is not a network such as 10.1.0.0/16 or 2001:db8::/32 (bits behind the prefix must be 0)",
			cidr);
	netaddr_print_net(text_out, &net);
	return true;
}

static bool check_tie(struct site *site, const char *cidr, const char *group, struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db, STMT_BOUNDARY_OWNER, DB_ARGS(db_text(cidr)));
	const char *owner;

	if (!db_rows_next(&rows))
		return db_rows_finish(&rows, err);
	owner = db_rows_text(&rows, 0);
	if (strcmp(owner, group) == 0)
		return err_set(err, ERR_EXISTS, "%s is in group \"%s\" already", cidr, group);
	err_set(err, ERR_EXISTS,
		"%s is in group \"%s\"; in a second group no client could tell which one is meant",
		cidr, owner);
	return err_fix(err, "remove it there first: packway-site boundary remove %s", cidr);
}

bool group_add_boundary(struct site *site, const char *cidr, const char *group, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char net[NETADDR_TEXT_MAX];

	return read_network(net, cidr, err) && site_begin(site, err) &&
	       group_check(site, group, err) && check_tie(site, net, group, err) &&
	       db_run(site->db, STMT_BOUNDARY_ADD, DB_ARGS(db_text(net), db_text(group)), err) &&
	       site_commit_policy(site, err);
}

bool group_remove_boundary(struct site *site, const char *cidr, struct err *err)
{
	SITE_UNDO struct site *undo = site;
	char net[NETADDR_TEXT_MAX];

	if (!read_network(net, cidr, err) || !site_begin(site, err) ||
	    !db_run(site->db, STMT_BOUNDARY_REMOVE, DB_ARGS(db_text(net)), err))
		return false;
	if (db_changed(site->db) == 0)
		return err_set(err, ERR_NOT_FOUND, "no group has the boundary %s", net);
	return site_commit_policy(site, err);
}

bool group_list_boundaries(json_t **out, struct site *site, struct err *err)
{
	return db_list(out, site->db, STMT_BOUNDARY_LIST, DB_NO_ARGS, err);
}
