package watch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// listenToParents says that a kernel watch on the folder above a root is cheap.
const listenToParents = true

// silent names the filesystem of path if changes that are made elsewhere (on a
// server, on the host of a virtual machine, by Windows) cause no notices here;
// empty for all others.
func silent(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "" // gone already, or about to fail more clearly when registered
	}
	return silentType(int64(st.Type))
}

func silentType(magic int64) string {
	// Statfs_t.Type is signed and 32 bits wide on some architectures.
	switch uint32(magic) {
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "smb"
	case unix.V9FS_MAGIC: // WSL 2's /mnt, qemu and crosvm shares
		return "9p"
	case unix.FUSE_SUPER_MAGIC: // sshfs, virtiofs (which has the same number), Docker Desktop
		return "fuse"
	case unix.AFS_SUPER_MAGIC:
		return "afs"
	case unix.CODA_SUPER_MAGIC:
		return "coda"
	case unix.CEPH_SUPER_MAGIC:
		return "ceph"
	case unix.OCFS2_SUPER_MAGIC:
		return "ocfs2"
	case 0x53464846: // WSL 1
		return "wslfs"
	case 0x786f4256:
		return "vboxsf"
	case 0xbacbacbc:
		return "vmhgfs"
	case 0x7c7c6673:
		return "prl_fs"
	case 0x01161970:
		return "gfs2"
	case 0x0bd00bd0:
		return "lustre"
	}
	return ""
}

// outOfWatches says whether err means that the kernel refuses more watches.
func outOfWatches(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM)
}

// moreWatches is the remedy for outOfWatches.
func moreWatches() string { return raise("max_user_watches", 524288) }

// moreInstances is the remedy for when no inotify instance can be made.
func moreInstances() string { return raise("max_user_instances", 1024) }

// raise returns the command for a limit of twice what it is, and at least least.
func raise(limit string, least int) string {
	if data, err := os.ReadFile("/proc/sys/fs/inotify/" + limit); err == nil {
		if now, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			least = max(least, 2*now)
		}
	}
	return fmt.Sprintf("sudo sysctl fs.inotify.%s=%d", limit, least)
}
