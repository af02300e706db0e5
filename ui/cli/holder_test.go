package cli

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// noted is a runtime that keeps one holder.
type noted struct {
	engine.Runtime
	runs []engine.Instance // nil: those of Runtime

	mu sync.Mutex
	by map[string]string
}

func (n *noted) Instances(ctx context.Context, project string) ([]engine.Instance, error) {
	if n.runs != nil {
		return n.runs, nil
	}
	return n.Runtime.Instances(ctx, project)
}

func (n *noted) HoldProject(_ context.Context, _ string, who map[string]string) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = maps.Clone(who)
	}
	return maps.Clone(n.by), nil
}

func (n *noted) ProjectHolder(context.Context, string, ...string) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.by), nil
}

func (n *noted) ReleaseProject(context.Context, string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.by = nil
	return nil
}

// Other verbs that change a project go by the same note.
func TestVerbsGoByWhoHoldsTheProject(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("compose.yaml", []byte("name: shop\nservices: {a: {image: x}}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"down", "stop", "start", "restart", "kill", "pause", "unpause",
		"scale a=2", "rebuild", "rm -sf", "fault a stop"} {
		for _, over := range []bool{false, true} {
			rt := &noted{Runtime: memory.New(), by: map[string]string{"user": "ann",
				"host": "elsewhere", "process": "7", "since": "then"}}
			var errs strings.Builder
			a := newApp(Parts{
				Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &errs,
				Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
					"HOME=" + t.TempDir()},
				Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder,
					error) {
					return rt, nil, nil
				},
			})
			args := strings.Fields(line)
			if over {
				args = append(args, "--take-over")
			}
			a.run(t.Context(), args)
			if refused := strings.Contains(errs.String(),
				"ann on elsewhere (process 7) runs it"); refused == over {
				t.Errorf("%s: refused %t; %s", strings.Join(args, " "), refused, errs.String())
			}
		}
	}
}

// watch and drill hold the project themselves: they are refused, or take the note over until their end.
func TestWatchAndDrillGoByWhoHoldsTheProject(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "name: shop\nservices: {a: {image: x, develop: {watch: [{path: ., action: restart}]}}}\n"
	if err := os.WriteFile("compose.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"watch", "watch --take-over", "watch --no-up --take-over", "drill",
		"drill --take-over"} {
		rt := &noted{Runtime: memory.New(), by: map[string]string{"user": "ann", "host": "elsewhere",
			"process": "7", "since": "then"}}
		if strings.HasPrefix(line, "drill") {
			rt.runs = []engine.Instance{{
				Identity: engine.Identity{ID: "1"}, Service: "a", Replica: 1, Number: "1",
				State: engine.StateRunning,
			}}
		}
		errs := &lockedBuffer{}
		a := newApp(Parts{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: errs,
			Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
				"HOME=" + t.TempDir()},
			Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder,
				error) {
				return rt, nil, nil
			},
		})
		done, taken := make(chan struct{}), false
		ctx, stop := a.interrupts.listen(t.Context())
		go func() {
			defer close(done)
			a.run(ctx, strings.Fields(line))
		}()
		for ended := false; !ended; time.Sleep(time.Millisecond) {
			select {
			case <-done:
				ended = true
			default:
				if by, _ := rt.ProjectHolder(ctx, "shop"); !taken &&
					by["process"] == strconv.Itoa(os.Getpid()) {
					taken = true
					a.interrupts.signalled(os.Interrupt)
				}
			}
		}
		stop()
		over := strings.Contains(line, "--take-over")
		if refused := strings.Contains(errs.String(),
			"ann on elsewhere (process 7) runs it"); refused == over || taken != over {
			t.Errorf("%s: refused %t, taken over %t; %s", line, refused, taken, errs.String())
		}
		if over && rt.by != nil {
			t.Errorf("%s: the note of its own stays: %v", line, rt.by)
		}
	}
}

func TestProjectThatSomebodyElseRunsOnTheEngineIsRefused(t *testing.T) {
	rt := &noted{}
	a := newApp(Parts{Stdin: strings.NewReader(""), Stdout: &strings.Builder{}, Stderr: &strings.Builder{}})
	a.conn.rt = rt
	held, release, err := a.hold(t.Context(), "shop", false)
	if err != nil || !held() || rt.by["process"] != strconv.Itoa(os.Getpid()) {
		t.Fatalf("%v %v", rt.by, err)
	}
	// A process of another machine, of another boot, or one that lives.
	for key, value := range map[string]string{"host": "elsewhere", "boot": "before", "user": "ann"} {
		rt.by[key] = value
		_, _, err := a.hold(t.Context(), "shop", false)
		if refused := new(heldError); !errors.As(err, &refused) || !strings.Contains(err.Error(),
			rt.by["since"]) || !strings.Contains(err.Error(), "--take-over") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if !strings.HasPrefix((&heldError{project: "shop", by: rt.by}).Error(), "ann on elsewhere (process ") {
		t.Error(&heldError{project: "shop", by: rt.by})
	}
	taken, letGo, err := a.hold(t.Context(), "shop", true)
	if err != nil || !taken() || held() {
		t.Errorf("taken over: %v, the first still holds it: %v", err, held())
	}
	if release(); rt.by == nil {
		t.Error("the end of the first takes the note of the second away")
	}
	if letGo(); rt.by != nil {
		t.Error("the note stays")
	}
	if bootID() == "" {
		return
	}
	// A dead process of this boot is taken over in silence.
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Skipf("no program to run: %v", err)
	}
	died := func(boot string) map[string]string {
		return map[string]string{"host": hostName(), "boot": boot,
			"process": strconv.Itoa(ended.Process.Pid), "user": "", "uid": "", "since": "", "token": "x"}
	}
	rt.by = died(bootID())
	if _, _, err := a.hold(t.Context(), "shop", false); err != nil {
		t.Errorf("the holder is dead: %v", err)
	}
	if _, started := processStat(os.Getpid()); started != "" {
		// So is one that nobody has asked how it ended, and one whose number another process has by now.
		killed := exec.Command("sleep", "1000")
		if err := killed.Start(); err != nil {
			t.Skipf("no program to run: %v", err)
		}
		if err := killed.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if state, _ := processStat(killed.Process.Pid); state == "Z" {
				break
			}
			if time.Now().After(limit) {
				t.Fatal("the killed process does not end")
			}
		}
		for pid, started := range map[int]string{killed.Process.Pid: "", os.Getpid(): started + "0"} {
			rt.by = died(bootID())
			rt.by["process"], rt.by["started"] = strconv.Itoa(pid), started
			if _, _, err := a.hold(t.Context(), "shop", false); err != nil {
				t.Errorf("the holder is dead: %v", err)
			}
		}
		_ = killed.Wait() // it was killed
	}
	// So is one of an earlier boot, where the engine is on this machine; and down takes its note away.
	rt.by = died("earlier pid:[1]")
	if _, _, err := a.hold(t.Context(), "shop", false); err == nil {
		t.Error("an engine elsewhere: the holder of another boot may live")
	}
	a.conn.info.Local = true
	if _, _, err := a.hold(t.Context(), "shop", false); err != nil {
		t.Errorf("the holder is of an earlier boot: %v", err)
	}
	rt.by = died("earlier pid:[1]")
	if a.forget(t.Context(), "shop"); rt.by != nil {
		t.Error("the note of a dead holder stays after down")
	}
}
