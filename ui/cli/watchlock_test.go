package cli

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestWatcherOfDockerComposeIsGoneBy(t *testing.T) {
	dir := t.TempDir()
	l := newEnvironment([]string{"XDG_RUNTIME_DIR=" + dir, "HOME=/nowhere"}).watchLock("shop")
	path := filepath.Join(dir, "shop.pid")
	if l.path != path {
		t.Fatalf("the file is %s, and docker compose's %s", l.path, path)
	}
	by, release := l.take()
	text, err := os.ReadFile(path)
	if by != 0 || err != nil || string(text) != strconv.Itoa(os.Getpid()) {
		t.Fatalf("taken by %d, %v, holds %q", by, err, text)
	}
	release()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file stays")
	}

	watcher := exec.Command("sh", "-c", "echo watching; read line")
	watcher.Args[0] = "docker-compose"
	stdin, err := watcher.StdinPipe() // open: it goes on
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := watcher.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watcher.Start(); err != nil {
		t.Skipf("no program to stand for docker compose: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // with this it ends
		_ = watcher.Wait()
	})
	// Only a program that runs has a command line in /proc: Start returns in the middle of the exec.
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the watcher said %q: %v", line, err)
	}
	write := func(pid int) {
		if err := os.WriteFile(path, []byte(strconv.Itoa(pid)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(watcher.Process.Pid)
	by, release = l.take()
	release()
	if by != watcher.Process.Pid {
		t.Errorf("taken from a watcher that runs; by %d", by)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != strconv.Itoa(watcher.Process.Pid) {
		t.Errorf("its file holds %q, %v", now, err)
	}
	write(1 << 30) // of nobody: what docker compose leaves behind
	if by, release := l.take(); by != 0 {
		t.Errorf("a dead watcher %d keeps the lock", by)
	} else {
		release()
	}
}
