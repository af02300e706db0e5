package tail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

func TestSeparatorsSayEndCauseUptimeAndDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.see("x", 0, "", false) // created
		s.begin("x", 1, "up")
		s.rt.write("x", "one")
		s.pass(2 * time.Second)
		s.end("x", 1, 137, "you pressed K")
		s.pass(time.Second)
		s.begin("x", 2, "you pressed u")
		s.rt.write("x", "two")
		s.pass(3 * time.Second)
		// Replaced: the end is seen when the container is nobody's any more, and
		// before the next one is made.
		s.rt.exit("x", 0)
		s.see("x", 2, "a/text saved", false)
		s.pass(100 * time.Millisecond)
		s.rt.write("y")
		s.see("y", 2, "a/text saved", false)
		s.pass(100 * time.Millisecond)
		s.begin("y", 3, "a/text saved")
		s.rt.write("y", "three")
		s.pass(time.Minute)
		want := []string{
			"1 one",
			"1 -- run 1 ended: exit code 137 (signal SIGKILL), you pressed K, was up 2.0s",
			"2 -- run 2 started: was down 1.0s, you pressed u",
			"2 two",
			"2 -- run 2 ended: exit code 0, a/text saved, was up 3.0s",
			"3 -- run 3 started: was down 200ms, a/text saved",
			"3 three",
		}
		expect(t, "by time", s.byTime(), want...)
		expect(t, "as they came in", s.arrived(), want...)
	})
}

// A replaced container whose end comes after the next one began, as in an overlap.
func TestSeparatorOfAnOverlapDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.rt.write("y")
		s.rt.start("y")
		s.see("y", 2, "a/text saved", true)
		s.rt.write("y", "two")
		s.pass(time.Millisecond)
		if got := s.arrived(); !slices.Contains(got,
			"2 -- run 2 started: the one before still serves, a/text saved") || !slices.Contains(got, "2 two") {
			t.Errorf("while both run: %q", got)
		}
		s.rt.write("x", "one goes on")
		s.pass(time.Second)
		s.rt.write("x", "last words")
		s.rt.exit("x", 3)
		in, _ := s.rt.Inspect(t.Context(), "x")
		s.Ended("x", End{At: in.Finished, ExitCode: 3, Cause: "not known there"})
		s.pass(time.Minute)
		got := s.arrived()
		for _, want := range []string{"1 one goes on", "1 last words",
			"1 -- run 1 ended: exit code 3, a/text saved, was up 2.0s"} {
			if !slices.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		if len(s.cursors) != 1 {
			t.Errorf("%d containers are kept, want the one that runs", len(s.cursors))
		}
	})
}

// The engine's stream goes on from one life to the next, and the next one's lines
// come before its start is known.
func TestQuickRestartsByPolicyKeepTheirGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		var want []string
		for g := 1; g <= 5; g++ {
			s.rt.write("x", fmt.Sprint("line ", g))
			s.pass(time.Second)
			if g == 5 {
				want = append(want, "5 line 5")
				break
			}
			ended := time.Now()
			s.rt.change("x", func(l *recordedLog) { l.in.Finished = ended })
			s.pass(time.Millisecond)
			s.Ended("x", End{At: ended, ExitCode: 1, Cause: "ended by itself"})
			s.rt.write("x", fmt.Sprint("early ", g+1))
			s.pass(time.Millisecond)
			s.rt.start("x")
			s.see("x", g+1, "restarted by its restart policy", false)
			up := "1.0s"
			want = append(want, fmt.Sprintf("%d line %d", g, g),
				fmt.Sprintf("%d -- run %d ended: exit code 1, ended by itself, was up %s", g, g, up),
				fmt.Sprintf("%d -- run %d started: was down 2ms, restarted by its restart policy",
					g+1, g+1), fmt.Sprintf("%d early %d", g+1, g+1))
		}
		expect(t, "by time", s.byTime(), want...)
		if len(s.rt.opened) != 1 {
			t.Errorf("the log was opened %d times, want once", len(s.rt.opened))
		}
	})
}

func TestEndThatWasMissedIsUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.rt.exit("x", 1)
		s.pass(time.Second)
		s.begin("x", 2, "seen after the connection was lost")
		s.rt.write("x", "two")
		s.pass(time.Minute)
		expect(t, "by time", s.byTime(), "1 one",
			"1 -- run 1 ended while bulkhead was not watching, seen after the connection was lost, was up 1.0s",
			"2 -- run 2 started: was down 1.0s, seen after the connection was lost", "2 two")
	})
}

// Whoever looks at a container may see its next life before the event of the end arrives.
func TestEndReportedAfterTheNextLifeBeganHasItsExitCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.rt.exit("x", 3)
		in, _ := s.rt.Inspect(t.Context(), "x")
		s.pass(time.Millisecond)
		s.begin("x", 2, "")
		s.rt.write("x", "two")
		s.pass(time.Second)
		s.Ended("x", End{At: in.Finished, ExitCode: 3, Cause: "ended by itself"})
		s.Ended("x", End{At: in.Finished, ExitCode: 4, Cause: "again"})
		s.pass(time.Minute)
		expect(t, "by time", s.byTime(), "1 one", "1 -- run 1 ended: exit code 3, ended by itself, was up 1.0s",
			"2 -- run 2 started: was down 1ms", "2 two")
	})
}

func TestEndThatIsKnownLateIsWrittenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.rt.exit("x", 0)
		s.pass(10 * time.Second) // the log has ended long since
		in, _ := s.rt.Inspect(t.Context(), "x")
		s.Ended("x", End{At: in.Finished, Cause: "ended by itself"})
		s.see("x", 1, "", false)
		s.Ended("x", End{At: in.Finished, Cause: "again"})
		s.pass(time.Minute)
		s.Forget("x")
		s.pass(time.Minute)
		expect(t, "by time", s.byTime(), "1 one", "1 -- run 1 ended: exit code 0, ended by itself, was up 1.0s")
		if len(s.cursors) != 0 {
			t.Error("a container that is gone is kept")
		}
		s.ForgetReplica(Replica{"a", 1})
		s.rt.write("y")
		s.begin("y", 2, "")
		s.rt.write("y", "two")
		if got := s.byTime(); len(got) != 3 || got[2] != "2 two" {
			t.Errorf("in a slot that is new: %q", got)
		}
	})
}

// What was written in one moment is neither lost nor doubled, wherever the stream is cut.
func TestCutStreamsAreReadOnWithNothingLostOrDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		var want []string
		for i := range 300 {
			text := fmt.Sprint("line ", i/3) // each text three times
			want = append(want, "1 "+text)
			s.rt.write("x", text)
			if i%7 == 0 {
				s.rt.cut("x")
			}
			if i%20 == 0 {
				s.pass(10 * time.Millisecond)
			}
			if i == 150 {
				s.pass(time.Minute)
			}
		}
		s.pass(time.Minute)
		expect(t, "by time", s.byTime(), want...)
		if len(s.notices) == 0 || s.notices[0].Kind != NoticeCut ||
			s.notices[0].Text() != "a: its log was cut and is read on: connection reset" {
			t.Errorf("notices %v", s.notices)
		}
	})
}

func TestContainerThatComesBackIsReadOnOnce(t *testing.T) {
	for _, left := range []bool{false, true} { // whether its follower has given up meanwhile
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, nil)
				s.rt.write("x")
				s.begin("x", 1, "")
				s.rt.write("x", "one")
				s.pass(time.Second)
				old, _ := s.rt.Inspect(t.Context(), "x")
				s.rt.write("y")
				s.rt.start("y")
				s.see("y", 2, "a/text saved", true)
				s.pass(time.Second)
				s.rt.write("x", "meanwhile")
				if left {
					s.rt.cut("x")
				}
				s.pass(10 * time.Second)
				s.rt.write("x", "still there")
				if generation, known := s.Generation(old.Identity); !known || generation != 1 {
					t.Errorf("the old life has generation %d, %t", generation, known)
				}
				s.see("x", 1, "the new generation did not become ready", false)
				s.pass(time.Second)
				s.rt.write("x", "back")
				s.rt.exit("y", 1)
				s.Ended("y", End{At: time.Now(), ExitCode: 1})
				s.pass(time.Minute)
				var got []string
				for _, l := range s.byTime() {
					if l[0] == '1' {
						got = append(got, l)
					}
				}
				expect(t, "of the old generation", got, "1 one", "1 meanwhile", "1 still there", "1 back")
				if _, known := s.Generation(container.Identity{ID: "y"}); known || len(s.cursors) != 1 {
					t.Errorf("%d containers are kept", len(s.cursors))
				}
			})
		})
	}
}

func TestLogThatCannotBeReadIsAttachedToOverItsLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.change("x", func(l *recordedLog) { l.unreadable, l.in.LogDriver = true, "none" })
		s.see("x", 0, "", false)
		s.pass(time.Second)
		for g := 1; g <= 3; g++ {
			s.begin("x", g, "you pressed r")
			s.rt.write("x", "hello")
			s.pass(time.Second)
			if g < 3 {
				s.end("x", g, 0, "you pressed r")
				s.pass(time.Second)
			}
		}
		expect(t, "by time", s.byTime(), "1 hello",
			"1 -- run 1 ended: exit code 0, you pressed r, was up 1.0s",
			"2 -- run 2 started: was down 1.0s, you pressed r",
			"2 hello", "2 -- run 2 ended: exit code 0, you pressed r, was up 1.0s",
			"3 -- run 3 started: was down 1.0s, you pressed r", "3 hello")
		if len(s.notices) != 1 || s.notices[0] != (Notice{Kind: NoticeUnreadable, Service: "a",
			Driver: "none"}) {
			t.Errorf("notices %v, want one", s.notices)
		}
	})
}

func TestContainerThatRanBeforeIsReadFromItsTail(t *testing.T) {
	for _, c := range []struct {
		last   int
		exited bool
		want   []string
	}{
		{2, false, []string{"5 b", "5 c", "5 new"}},
		{0, false, []string{"5 new"}},
		{2, true, []string{"5 b", "5 c"}},
		{0, true, nil},
	} {
		t.Run(fmt.Sprint(c.last, c.exited), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, func(o *Options) { o.Last, o.Began = c.last, time.Now().Add(time.Hour) })
				s.rt.write("x")
				s.rt.start("x")
				s.rt.write("x", "a", "b", "c")
				if c.exited {
					s.rt.exit("x", 0)
				}
				time.Sleep(2 * time.Hour)
				s.see("x", 5, "", false)
				s.pass(time.Minute)
				if !c.exited {
					s.rt.write("x", "new")
				}
				s.pass(time.Minute)
				expect(t, "by time", s.byTime(), c.want...)
			})
		})
	}
}

// A life that is over before anybody looks is no history where no lines of the past are wanted.
func TestLifeThatEndsUnseenIsReadThoughNothingOfThePastIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, func(o *Options) { o.Last = 0 })
		s.rt.write("x")
		s.rt.start("x")
		s.rt.write("x", "words")
		s.rt.exit("x", 3)
		s.see("x", 1, "up", false)
		s.pass(time.Minute)
		expect(t, "by time", s.byTime(), "1 words")
	})
}

// An engine notes the start of a very short life after its end, as it looks.
func TestLifeThatIsOverBeforeItsStartIsNotedIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, func(o *Options) { o.Last, o.Began = 0, time.Now().Add(time.Hour) })
		s.rt.write("x")
		s.rt.start("x")
		s.rt.write("x", "before")
		s.rt.exit("x", 0)
		time.Sleep(2 * time.Hour)
		s.see("x", 1, "", false)
		s.pass(time.Minute)
		s.rt.start("x")
		s.rt.write("x", "words")
		s.pass(time.Millisecond)
		s.rt.exit("x", 3)
		s.rt.change("x", func(l *recordedLog) { l.in.Started = l.in.Finished.Add(time.Millisecond) })
		in, _ := s.rt.Inspect(t.Context(), "x")
		s.see("x", 2, "up", false)
		s.AwaitLastWords(t.Context(), []container.Identity{in.Identity}) // a hang fails the test
		if got := s.arrived(); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], " words") {
			t.Errorf("there is %q", got)
		}
	})
}

// Of a life that has ended the runtime knows that end alone, which is not the one before it.
func TestNextLifeThatEndsUnseenIsRead(t *testing.T) {
	for _, last := range []int{0, 100} {
		for _, ended := range []time.Duration{time.Millisecond, time.Hour} { // before the next start
			t.Run(fmt.Sprint(last, ended), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := open(t, func(o *Options) { o.Last, o.Began = last, time.Now().Add(time.Hour) })
					s.rt.write("x")
					s.rt.start("x")
					s.rt.write("x", "before")
					s.rt.exit("x", 0)
					time.Sleep(2 * time.Hour)
					s.see("x", 1, "", false)
					s.pass(time.Minute)
					for g, text := range []string{2: "words", 3: "more"} {
						if g < 2 {
							continue
						}
						s.pass(ended)
						s.rt.start("x")
						s.rt.write("x", text)
						s.rt.exit("x", 3)
						in, _ := s.rt.Inspect(t.Context(), "x")
						s.see("x", g, "up", false)
						// a hang fails the test
						s.AwaitLastWords(t.Context(), []container.Identity{in.Identity})
						expect(t, "what it wrote last", s.arrived()[len(s.arrived())-1:],
							fmt.Sprint(g, " ", text))
					}
					var before int
					for _, l := range s.byTime() {
						if l == "1 before" {
							before++
						}
					}
					if want := min(last, 1); before != want {
						t.Errorf("what it wrote before is there %d times, want %d", before, want)
					}
				})
			})
		}
	}
}

func TestLastWordsAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.pass(time.Second)
		in, _ := s.rt.Inspect(t.Context(), "x")
		waited := func(id container.Identity) time.Duration {
			from := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s.AwaitLastWords(ctx, []container.Identity{id, {ID: "of nobody"}})
			return time.Since(from)
		}
		if d := waited(in.Identity); d != time.Minute {
			t.Errorf("for one that goes on: %v", d)
		}
		s.rt.write("x", "bye")
		s.rt.exit("x", 0)
		time.AfterFunc(300*time.Millisecond, func() { s.see("x", 1, "you pressed s", false) })
		if d := waited(in.Identity); d != 300*time.Millisecond {
			t.Errorf("for one whose end is seen after 300 ms: %v", d)
		}
		if d := waited(in.Identity); d != 0 {
			t.Errorf("for one that is read: %v", d)
		}
		s.Forget("x")
		if d := waited(container.Identity{ID: "x"}); d != 0 {
			t.Errorf("for one that is gone: %v", d)
		}
	})
}

func TestMutedLogsAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, func(o *Options) { o.Muted = true })
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.end("x", 1, 1, "")
		s.rt.write("y")
		s.begin("y", 2, "")
		in, _ := s.rt.Inspect(t.Context(), "y")
		s.AwaitLastWords(t.Context(), []container.Identity{in.Identity})
		s.SystemLines("a", "y")([]byte("hook"))
		expect(t, "by time", s.byTime(), "2 -- hook")
		if l := s.slots[Replica{"a", 1}]; l.before != nil || len(l.transitions) > 0 {
			t.Error("what nobody is going to write is kept")
		}
	})
}

func TestSystemLinesStandInTheLifeThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.SystemLines("b", "not seen yet")([]byte("early"))
		s.rt.write("x")
		s.begin("x", 7, "")
		s.SystemLines("a", "x")([]byte("hook"))
		if got := s.all(); len(got) != 2 || got[0].Generation != 0 || got[1].Generation != 7 ||
			got[1].Replica != 1 || got[1].Stream != logs.System {
			t.Errorf("%+v", got)
		}
	})
}

func TestReplacedContainersThatAreGoneAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		for g := 1; g <= 100; g++ {
			id := fmt.Sprint("x", g)
			s.rt.write(id)
			s.begin(id, g, "")
			s.pass(time.Second)
			if g%2 == 0 {
				s.rt.exit(id, 0)
				s.Ended(id, End{At: time.Now()})
			} else {
				s.rt.change(id, func(l *recordedLog) { l.running = false }) // and nobody says so
			}
			s.pass(time.Minute)
		}
		s.Retain(func(id string) bool { return id == "x100" })
		if len(s.cursors) != 1 || len(s.slots) != 1 {
			t.Errorf("%d containers and %d slots are kept", len(s.cursors), len(s.slots))
		}
		n := 0
		for l := s.slots[Replica{"a", 1}]; l != nil; l = l.before {
			n++
		}
		if n > 2 {
			t.Errorf("a chain of %d containers is kept", n)
		}
	})
}

func TestSignalsHaveTheirNamesOnLinux(t *testing.T) {
	for n, want := range map[int]string{1: "SIGHUP", 7: "SIGBUS", 9: "SIGKILL", 10: "SIGUSR1",
		11: "SIGSEGV", 15: "SIGTERM", 31: "SIGSYS", 40: "40", 64: "64"} {
		if got := linuxSignal(n); got != want {
			t.Errorf("signal %d is %s, want %s", n, got, want)
		}
	}
}

// A stream that breaks while its container ends has not said everything.
func TestLastWordsBehindACutAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.rt.write("x")
		s.begin("x", 1, "")
		s.rt.write("x", "one")
		s.pass(time.Second)
		s.rt.change("x", func(l *recordedLog) {
			l.cuts++
			l.running, l.in.State, l.in.Finished, l.in.ExitCode = false, container.StateExited, time.Now(), 2
		})
		synctest.Wait() // it has seen the cut
		s.rt.write("x", "panic: the reason")
		s.see("x", 1, "seen after the connection was lost", false)
		s.pass(time.Minute)
		if all := strings.Join(s.byTime(), "\n"); !strings.Contains(all, "1 panic: the reason") ||
			!strings.Contains(all, "run 1 ended") {
			t.Errorf("the last words are missing:\n%s", all)
		}
		s.begin("x", 2, "you pressed u")
		s.rt.write("x", "two")
		s.pass(time.Minute)
		if all := strings.Join(s.byTime(), "\n"); strings.Count(all, "the reason") != 1 ||
			!strings.Contains(all, "2 two") {
			t.Errorf("after the next life began:\n%s", all)
		}
	})
}
