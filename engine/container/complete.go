package container

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// Complete is a runtime with all optional interfaces. Those that it lacks answer with an error
// wrapping ErrUnsupported, or, where there is a harmless answer, with that.
type Complete struct {
	Runtime
	Pauser
	Renamer
	Swapper
	Provisioner
	ImageStore
	Attacher
	Previewer
	Meter
	FileWriter
	FilePreparer
	FileReader
	SignalReader
	Dialer
	Limiter
	Extras
	Foregrounder
	AgentRunner
	Pinger
	ProgramRestarter

	Caps Caps
}

// Caps says which of the optional interfaces a runtime has itself: what it lacks is grey on the screen.
type Caps struct {
	Pause, Rename, Swap, Provision, Images, Attach, Preview, Meter, Sync, Dial, Limits bool
	// the agent can be run in a container's network
	Agent bool
}

// Completed finds the optional interfaces of a runtime.
func Completed(rt Runtime) *Complete {
	if c, ok := rt.(*Complete); ok {
		return c
	}
	l := lacking{}
	c := &Complete{Runtime: rt, Pauser: l, Renamer: l, Swapper: l, Provisioner: l, ImageStore: l, Attacher: l,
		Previewer: l, Meter: l, FileWriter: l, FilePreparer: l, FileReader: l, SignalReader: l,
		Dialer: l, Limiter: l, Extras: l, Foregrounder: l, AgentRunner: l, Pinger: l,
		ProgramRestarter: l}
	find(rt, &c.Pauser, &c.Caps.Pause)
	find(rt, &c.Renamer, &c.Caps.Rename)
	find(rt, &c.Swapper, &c.Caps.Swap)
	find(rt, &c.Provisioner, &c.Caps.Provision)
	find(rt, &c.ImageStore, &c.Caps.Images)
	find(rt, &c.Attacher, &c.Caps.Attach)
	find(rt, &c.Previewer, &c.Caps.Preview)
	find(rt, &c.Meter, &c.Caps.Meter)
	find(rt, &c.FileWriter, &c.Caps.Sync)
	find(rt, &c.FilePreparer)
	find(rt, &c.FileReader)
	find(rt, &c.SignalReader)
	find(rt, &c.Dialer, &c.Caps.Dial)
	find(rt, &c.Limiter, &c.Caps.Limits)
	find(rt, &c.Extras)
	find(rt, &c.Foregrounder)
	find(rt, &c.AgentRunner, &c.Caps.Agent)
	find(rt, &c.Pinger)
	find(rt, &c.ProgramRestarter)
	return c
}

// find sets into to the runtime itself where it has that interface, and has to true.
func find[T any](rt Runtime, into *T, has ...*bool) {
	x, ok := rt.(T)
	if !ok {
		return
	}
	*into = x
	for _, h := range has {
		*h = true
	}
}

// lacking answers for the optional interfaces that a runtime does not have.
type lacking struct{}

func lacks(what string) error { return fmt.Errorf("%s: %w", what, ErrUnsupported) }

func (lacking) Ping(context.Context) error                     { return nil }
func (lacking) Pause(context.Context, string) error            { return lacks("pause") }
func (lacking) Unpause(context.Context, string) error          { return lacks("unpause") }
func (lacking) Rename(context.Context, string, string) error   { return nil }
func (lacking) Swap(context.Context, SwapSpec) (string, error) { return "", lacks("swap a container") }

func (lacking) FindNetwork(context.Context, NetworkSpec) (Found, error) {
	return Found{There: true}, nil
}
func (lacking) FindVolume(context.Context, VolumeSpec) (Found, error) { return Found{There: true}, nil }
func (lacking) EnsureNetwork(context.Context, NetworkSpec) (string, bool, error) {
	return "", false, nil
}
func (lacking) EnsureVolume(context.Context, VolumeSpec) (bool, error)                { return false, nil }
func (lacking) RemoveNetworks(context.Context, string, []string) (s Swept, err error) { return s, nil }
func (lacking) RemoveVolumes(context.Context, string, []string) (s Swept, err error)  { return s, nil }
func (lacking) RemoveImage(context.Context, string, bool) (bool, error)               { return false, nil }
func (lacking) ProjectImages(context.Context, string, bool) ([]string, error)         { return nil, nil }
func (lacking) HandlesStop(context.Context, string) (handles, known bool)             { return false, false }
func (lacking) Stats(
	context.Context, string,
) (Stats, error) {
	return Stats{}, lacks("readings")
}
func (lacking) CopyTo(context.Context, string, string, io.Reader, bool) error {
	return lacks("copy into a container")
}
func (lacking) Delete(context.Context, string, string, []string) error {
	return lacks("delete in a container")
}
func (lacking) PrepareFiles(context.Context, string)               {}
func (lacking) Unreachable(*types.ServiceConfig) map[string]string { return nil }
func (lacking) User(context.Context, string) (uid, gid int, err error) {
	return 0, 0, lacks("find a user")
}
func (lacking) Owner(context.Context, string, string) (uid, gid int, err error) {
	return 0, 0, lacks("find an owner")
}
func (lacking) OneOffs(context.Context, string) ([]Instance, error)         { return nil, nil }
func (lacking) Hooks(context.Context, string) ([]Instance, error)           { return nil, nil }
func (lacking) Guests(context.Context, string) (map[string][]string, error) { return nil, nil }
func (lacking) Untag(context.Context, string) (bool, error)                 { return false, nil }
func (lacking) Foreground(context.Context, string, Streams, func(context.Context) error) (int, error) {
	return 0, lacks("run in the foreground")
}
func (lacking) Wait(context.Context, string) (int, error) { return 0, lacks("wait for an exit code") }
func (lacking) DialInstance(context.Context, string, int) (net.Conn, error) {
	return nil, lacks("dial")
}
func (lacking) Limits(context.Context, string) (Limits, error)  { return Limits{}, lacks("limits") }
func (lacking) SetLimits(context.Context, string, Limits) error { return lacks("change limits") }
func (lacking) RestartProgram(context.Context, string, time.Duration, func(ProgramEnd)) error {
	return lacks("restart a program alone")
}
func (lacking) RunAgent(context.Context, AgentSpec) (io.ReadWriteCloser, error) {
	return nil, lacks("run the agent")
}
func (lacking) Network(context.Context, string, string) (Network, error) {
	return Network{}, lacks("look at the network")
}
func (lacking) Image(_ context.Context, ref, _ string) (Image, error) {
	return Image{ID: ref, Digest: ref}, nil
}
func (lacking) Pull(context.Context, string, string, func(PullProgress)) error { return nil }
func (lacking) Stat(context.Context, string, []string) (map[string]Entry, error) {
	return nil, lacks("look at files")
}
func (lacking) List(context.Context, string, string, func(string, Entry, io.Reader) error) error {
	return lacks("list files")
}
func (lacking) Attach(context.Context, string, chan<- struct{}, func(Line)) error {
	return lacks("attach")
}
func (lacking) Preview(context.Context, string, chan<- struct{}, func(Line)) error {
	return lacks("preview")
}
