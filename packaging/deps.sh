# shellcheck shell=bash
# Debian packages that the project needs; sourced by ./check and ./demo.
#
# install_deps KIND…     build, test, deep, demo; asks nothing; as an ordinary user it goes through sudo

deps_build="gcc libc6-dev meson ninja-build pkg-config libcurl4-openssl-dev libevent-dev libsqlite3-dev
	libssl-dev libsodium-dev libzstd-dev zlib1g-dev libjansson-dev libinih-dev libmount-dev libcmocka-dev
	libfuse3-dev fuse3 libseccomp-dev
	libsmbclient-dev samba-dev"
deps_test="python3 python3-cryptography python3-securesystemslib clang libclang-rt-14-dev llvm clang-format clang-tools shellcheck
	nginx-light mandoc binutils bindfs fuse3 iproute2 nftables procps diffutils openssl curl e2fsprogs
	samba samba-vfs-modules smbclient libnss-wrapper libuid-wrapper
	krb5-kdc krb5-admin-server krb5-user
	dpkg-dev systemd
	rclone gvfs gvfs-fuse gvfs-backends dbus-daemon libglib2.0-bin"
deps_deep="qemu-system-x86 busybox-static cpio kmod netcat-openbsd debootstrap"
deps_demo="nginx-light procps util-linux diffutils dpkg apt bindfs fuse3 samba samba-vfs-modules libuid-wrapper"

deps_missing() {
	local name
	for name; do
		dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed' ||
			printf '%s\n' "$name"
	done
}

# Packages bring services (nginx on port 80) that nobody here wants started.
deps_apt() {
	local policy=/usr/sbin/policy-rc.d made="" rc=0
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | "$@" tee $policy >/dev/null
		"$@" chmod 755 $policy
		made=1
	fi
	# shellcheck disable=SC2086
	"$@" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
		--no-install-recommends $missing >/dev/null || rc=$?
	[ -z "$made" ] || "$@" rm -f $policy
	return $rc
}

install_deps() {
	local kind list="" missing as=env
	for kind; do
		case $kind in
		build) list="$list $deps_build" ;;
		test) list="$list $deps_test" ;;
		deep) list="$list $deps_deep" ;;
		demo) list="$list $deps_demo" ;;
		esac
	done
	# shellcheck disable=SC2086
	missing=$(deps_missing $list)
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			echo "cannot install packages" >&2
			echo "  these are missing: $(echo "$missing" | tr '\n' ' ')" >&2
			echo "  install them as root, or install sudo [PW-PERMISSION]" >&2
			return 5
		}
		as=sudo
	fi
	echo "installing: $(echo "$missing" | tr '\n' ' ')"
	# An old package list is the usual reason of a failure: fetch a new one and try once more.
	deps_apt $as 2>/dev/null || { $as apt-get -qq update >/dev/null && deps_apt $as; }
}
