package lane

import (
	"context"
	"fmt"

	"bulkhead/engine/condition"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
)

// Skipper warns, once each, of dependencies that a service starts without.
func Skipper(st *state.State, service string) func(dependency string, why error) {
	warned := map[string]bool{}
	return func(dependency string, why error) {
		if !warned[dependency] {
			warned[dependency] = true
			st.Warn(fmt.Sprintf("%s starts without %s, which it does not require: %s", service,
				dependency, why))
		}
	}
}

// waits is what a service waits for before its containers can be made or started.
type waits struct {
	st   *state.State
	m    *state.Member
	conf *project.Service
}

func (l *worker) waits() waits { return waits{st: l.p.State, m: l.m, conf: l.conf} }

// dependencies waits until what depends_on asks for holds. A dependency that the user holds
// down keeps nobody waiting. One that will not come by itself is named at once, as the service's
// error; the wait goes on, because the next save or the next key may mend it.
func (w waits) dependencies(ctx context.Context) error { return w.those(ctx, nil) }

// those is dependencies for those of them that which names; nil: all.
func (w waits) those(ctx context.Context, which func(*condition.Service) bool) error {
	skip := Skipper(w.st, w.conf.Name)
	err := w.st.Await(ctx, func(v *state.View) (bool, error) {
		waits, why := v.Services.Unmet(w.conf, which, skip)
		w.m.Waits(waits, why)
		return len(waits) == 0, nil
	})
	w.m.Waits(nil, nil)
	return causeOf(ctx, err)
}

// parents waits until the services that a service joins have the containers that they are going to
// have, and returns the ids of their first ones.
func (w waits) parents(ctx context.Context, settled bool) (ids map[string]string, err error) {
	if len(w.conf.Parents()) == 0 {
		return nil, nil
	}
	err = w.st.Await(ctx, func(v *state.View) (bool, error) {
		found, orphaned, err := v.Services.Parents(w.conf, settled)
		if orphaned {
			w.m.Follows()
		}
		ids = found
		return found != nil, err
	})
	return ids, causeOf(ctx, err)
}

// namespaces waits until the services whose namespaces a service joins run. When one of them
// does not, and nobody is about to start it, that is an error, and the service follows as soon as
// it is up.
func (w waits) namespaces(ctx context.Context) error {
	err := w.st.Await(ctx, func(v *state.View) (bool, error) {
		there, err := v.Services.Hosted(w.conf)
		if err != nil {
			w.m.Follows()
		}
		return there, err
	})
	return causeOf(ctx, err)
}

// causeOf is why a wait ended: where its context did, the cause of that.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
