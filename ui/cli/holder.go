package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

// holderLimit is how long the end of a session waits for the engine to say who holds the project:
// one that is silent is not waited for, and what is ours is stopped.
const holderLimit = time.Second

// hold notes on the engine that this process runs a project, so that one of another user, or of
// another machine on the same engine, finds it. A note of this machine whose process has died is
// taken over. release takes the note away, unless somebody has taken the project over; held says
// whether it is still ours.
func (a *app) hold(
	ctx context.Context, project string, takeOver bool,
) (held func() bool, release func(), err error) {
	held, release = func() bool { return true }, func() {}
	h, ok := a.conn.rt.(container.Holder)
	if !ok {
		return held, release, nil
	}
	me := map[string]string{"user": userName(), "uid": strconv.Itoa(os.Getuid()), "host": hostName(),
		"boot":    bootID(),
		"process": strconv.Itoa(os.Getpid()), "since": time.Now().UTC().Format(time.RFC3339),
		"token": rand.Text()}
	_, me["started"] = processStat(os.Getpid())
	for try := 0; ; try++ {
		found, err := h.HoldProject(ctx, project, me)
		if err != nil {
			return held, release, err
		}
		if maps.Equal(found, me) {
			break
		}
		if try > 2 || !takeOver && !a.dead(found) {
			return held, release, &heldError{project: project, by: found}
		}
		if err := h.ReleaseProject(ctx, project); err != nil {
			return held, release, err
		}
	}
	held = func() bool {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holderLimit)
		defer cancel()
		found, err := h.HoldProject(ctx, project, me)
		return err != nil || found["token"] == me["token"]
	}
	return held, func() {
		if held() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holderLimit)
			defer cancel()
			_ = h.ReleaseProject(ctx, project) // a note that stays is taken over by the next up of this machine
		}
	}, nil
}

// holderKeys are what a note says of who holds a project.
var holderKeys = []string{"user", "uid", "host", "boot", "process", "started", "since", "token"}

// checkHolder refuses to change a project that another user, or another machine, runs on the same engine, unless the
// person said --take-over.
func (a *app) checkHolder(ctx context.Context, project string) error {
	h, ok := a.conn.rt.(container.Holder)
	if !ok || a.takeOver {
		return nil
	}
	by, err := h.ProjectHolder(ctx, project, holderKeys...)
	if err != nil {
		return err
	}
	if by["process"] == "" || a.dead(by) || heldByUs(by) {
		return nil
	}
	return &heldError{project: project, by: by}
}

// heldByUs says whether a holder is this user's, on this machine: its control socket is what a verb goes by, and one
// that ends takes its note away a moment after that is closed.
func heldByUs(by map[string]string) bool {
	return by["host"] == hostName() && by["boot"] == bootID() && by["uid"] == strconv.Itoa(os.Getuid())
}

// addTakeOver adds the flag that goes on where somebody else runs the project.
func (a *app) addTakeOver(c *cobra.Command) {
	c.Flags().BoolVar(&a.takeOver, "take-over", false,
		"go on though another user, or another machine, runs the project on this engine")
}

// heldError is a project that somebody else runs on the same engine.
type heldError struct {
	project string
	by      map[string]string
}

// Error names who holds the project and since when.
func (e *heldError) Error() string {
	return fmt.Sprintf("%s on %s (process %s) runs it on this engine since %s; %s",
		clean(e.by["user"]), clean(e.by["host"]),
		clean(e.by["process"]), clean(e.by["since"]), e.Suggestion())
}

// Suggestion is what a person can do about it.
func (e *heldError) Suggestion() string { return "end that one first, or go on with --take-over" }

// forget takes away the note of a holder that is dead, once its project was taken down.
func (a *app) forget(ctx context.Context, project string) {
	h, ok := a.conn.rt.(container.Holder)
	if !ok {
		return
	}
	by, err := h.ProjectHolder(ctx, project, "host", "boot", "process", "started")
	if err == nil && by != nil && a.dead(by) {
		_ = h.ReleaseProject(ctx, project) // a note that stays is taken over by the next up of this machine
	}
}

// dead says whether a holder was a process of this machine that is not there any more: of this boot,
// or of an earlier one, which an engine on this machine has not outlived either.
func (a *app) dead(by map[string]string) bool {
	if by["host"] != hostName() {
		return false
	}
	was, _, _ := strings.Cut(by["boot"], " ")
	is, _, _ := strings.Cut(bootID(), " ")
	if was != is {
		return was != "" && is != "" && a.conn.info.Local
	}
	pid, err := strconv.Atoi(by["process"])
	if by["boot"] != bootID() || err != nil || pid < 1 {
		return false
	}
	_, started := processStat(pid)
	// it has the number of one that ended
	another := by["started"] != "" && started != "" && by["started"] != started
	return another || !processExists(pid)
}

// processStat returns a process's state, as in proc_pid_stat(5), and when it started, in ticks since the
// start of the machine; "" for both where that is not known.
func processStat(pid int) (state, started string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// The name of its program stands in parentheses, and may have some itself.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// bootID is the same from one start of the machine to its end, "" where that is not known. Of
// containers on one machine each has processes of its own, so the namespace belongs to it.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	ns, _ := os.Readlink("/proc/self/ns/pid") // without it the boot alone counts
	return strings.TrimSpace(string(b)) + " " + ns
}
