package fault

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// lookForRequests is how often the owner of a fault looks whether another process wants it healed.
const lookForRequests = time.Second

// Run heals faults when their time is over, when another process asks for it, and keeps them in
// force while containers come and go. When ctx ends it heals all, and returns after that.
func (r *Injector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var unfollow context.CancelFunc // nil while nothing is followed
	defer func() {
		if unfollow != nil {
			unfollow()
		}
	}()
	for {
		due, some := r.next()
		some = some || len(r.taps.tapping()) > 0
		switch {
		case r.notified:
		case some && unfollow == nil:
			fctx, cancel := context.WithCancel(ctx)
			unfollow = cancel
			wg.Go(func() { r.follow(fctx) })
		case !some && unfollow != nil:
			unfollow()
			unfollow = nil
		}
		var timer <-chan time.Time
		if some {
			pause := lookForRequests
			if !due.IsZero() {
				pause = time.Until(due)
			}
			if r.disk.dir != "" {
				pause = min(pause, lookForRequests)
			}
			timer = time.After(pause)
		}
		select {
		case <-timer:
			r.healDue(ctx)
		case <-r.moved:
			r.update(ctx)
		case <-r.wake:
			r.working.Lock()
			r.endSuperseded()
			r.working.Unlock()
		case <-ctx.Done():
			hctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
			defer cancel()
			err := r.Heal(hctx)
			r.Support.wait()
			r.working.Lock()
			defer r.working.Unlock()
			r.net.close()
			r.taps.want(nil)
			r.taps.forget()
			return err
		}
	}
}

// next is when the first settled fault is over, zero when there is none; some says whether there is a fault at all.
func (r *Injector) next() (due time.Time, some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.all {
		if in.isSettled() && (due.IsZero() || in.shown.Until.Before(due)) {
			due = in.shown.Until
		}
	}
	return due, len(r.all) > 0
}

// healDue heals the faults whose time is over, and those that another process asks to be healed. An
// error has been noted, and is tried again.
func (r *Injector) healDue(ctx context.Context) {
	r.working.Lock()
	defer r.working.Unlock()
	due := r.matching(func(*injection) bool { return true })
	due = slices.DeleteFunc(due, func(in *injection) bool { // without mu: it asks the disk
		// What somebody took off the disk is healed already, by force; our agent may have done it again since.
		return in.Until.After(time.Now()) && !r.disk.asked(in.Fault.ID) && !r.disk.gone(in.Fault.ID)
	})
	if len(due) > 0 {
		_ = r.healThese(ctx, func(in *injection) bool { return slices.Contains(due, in) })
	}
}

// update brings the faults in force up to date with the containers as they are now.
func (r *Injector) update(ctx context.Context) {
	r.working.Lock()
	defer r.working.Unlock()
	chosen := r.matching(func(*injection) bool { return true })
	if len(r.taps.wanted) > 0 && !slices.ContainsFunc(chosen, func(in *injection) bool {
		_, is := in.kind.method.(traffic)
		return is
	}) {
		_ = r.net.update(ctx, r, nil) // the next event, and the end of an agent, bring us here again
	}
	if len(chosen) == 0 {
		return
	}
	all, err := r.rt.Instances(ctx, r.project)
	if err != nil {
		return // the next event brings us here again
	}
	for _, in := range chosen {
		before := len(in.Targets)
		over, err := in.kind.method.moved(ctx, r, in, all)
		switch {
		case over:
			r.end(in)
			continue
		case err != nil:
			r.trouble(in, err)
			continue
		case len(in.Targets) != before:
			err = r.disk.write(&in.entry)
			r.host.Note(Note{What: Changed, Fault: in.shown,
				Text: fmt.Sprintf("in force again, in %s", in.Targets[len(in.Targets)-1].Name)})
		}
		r.trouble(in, err)
	}
}

// trouble notes why a fault is not in force as it should be, or that it is again.
func (r *Injector) trouble(in *injection, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	before := in.shown.Trouble
	in.shown.Trouble = text
	shown := in.shown
	r.mu.Unlock()
	if text != "" && text != before {
		r.host.Note(Note{What: Trouble, Fault: shown, Text: text})
	}
}

// follow reads the engine's events until ctx ends. Whenever the stream breaks off, and when it
// begins again, there is a look at the containers, because events may have been missed.
func (r *Injector) follow(ctx context.Context) {
	for ctx.Err() == nil {
		r.Moved()
		_ = r.rt.Events(ctx, r.project, time.Now(), r.See)
		select {
		case <-time.After(lookForRequests):
		case <-ctx.Done():
		}
	}
}
