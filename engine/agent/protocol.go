package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Version is that of the protocol. Both sides come from the same build; an agent of another version
// is ended.
const Version = 2

const (
	// Beat is how often each side says that it is there.
	Beat = time.Second
	// Silence is after what time without a word from bulkhead the agent undoes everything and ends.
	Silence = 5 * time.Second
	// Drain is how long connections that went through the agent's proxy may go on after that.
	Drain = 30 * time.Second
)

// Command is one line to the agent, as JSON.
type Command struct {
	Seq uint64 `json:"seq,omitempty"` // of Apply: the answer has it, too
	// Apply says that Rules are all that is to be in force from now on.
	Apply bool   `json:"apply,omitempty"`
	Rules []Rule `json:"rules,omitempty"`
}

// Reply is one line from the agent, as JSON. The first one is its greeting.
type Reply struct {
	Version int `json:"version,omitempty"` // of the greeting
	// of the greeting, where it was asked to probe: why something cannot be done
	Missing map[Ability]string `json:"lacks,omitempty"`

	Seq   uint64 `json:"seq,omitempty"` // of the answer to Apply
	Error string `json:"error,omitempty"`

	Counts []Count `json:"counts,omitempty"` // of all rules, with each beat and each answer
	Seen   []Seen  `json:"seen,omitempty"`   // of rules that tap: what is new since the beat before
}

// Ability is something that the kernel may or may not be able to do.
type Ability string

const (
	NAT    Ability = "nat"    // redirect connections
	Drop   Ability = "drop"   // drop packets where the sender sees nothing
	Random Ability = "random" // choose packets at random
	Netem  Ability = "netem"
	TBF    Ability = "tbf"
	Cut    Ability = "cut" // end connections that exist
)

// Rule is one thing to do in the network namespace of the agent.
type Rule struct {
	ID   string `json:"id"`
	Does Does   `json:"does"`
	// All says that it is about all addresses but loopback; else it is about those in To, and with
	// Port about that TCP or UDP port of them alone.
	All  bool           `json:"all,omitempty"`
	To   []netip.Prefix `json:"to,omitempty"`
	Port uint16         `json:"port,omitempty"`

	Both   bool          `json:"both,omitempty"`   // of Partition: calls that come from there, too
	Delay  time.Duration `json:"delay,omitempty"`  // of Proxy, Queue
	Jitter time.Duration `json:"jitter,omitempty"` // of Proxy: at most so much more
	Rate   int64         `json:"rate,omitempty"`   // of Proxy, Shape: bits a second, per direction
	Reset  float64       `json:"reset,omitempty"`  // of Proxy: share of the connections that are reset
	Share  float64       `json:"share,omitempty"`  // of Lose: of packets
	Answer string        `json:"answer,omitempty"` // of Resolve: nxdomain, servfail, silence
	Name   string        `json:"name,omitempty"`   // of Resolve; "": all
	// connections that exist are ended when the rule comes into force
	Cut bool `json:"cut,omitempty"`
}

// Does is what a rule does.
type Does string

const (
	Partition Does = "partition" // packets vanish
	Lose      Does = "lose"      // some of them do
	Proxy     Does = "proxy"     // new TCP connections go through the agent
	Tap       Does = "tap"       // likewise, and the agent counts what they carry
	Resolve   Does = "resolve"   // questions for names get wrong answers
	Queue     Does = "queue"     // packets wait (netem)
	Shape     Does = "shape"     // packets queue (tbf)
)

// Count is what a rule has done so far.
type Count struct {
	ID    string `json:"id"`
	Conns int    `json:"conns,omitempty"` // connections that went through the proxy
	Kept  int    `json:"kept,omitempty"`  // TCP connections that exist and are not touched by it
	Bytes int64  `json:"bytes,omitempty"`
}

// Writer writes lines of the protocol. It is not safe for concurrent use.
type Writer struct{ e *json.Encoder }

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{json.NewEncoder(w)} }

// Write writes a Command or a Reply.
func (w *Writer) Write(v any) error { return w.e.Encode(v) }

// Reader reads lines of the protocol.
type Reader struct{ d *json.Decoder }

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{json.NewDecoder(r)} }

// Read reads the next line into v.
func (r *Reader) Read(v any) error { return r.d.Decode(v) }

// Check says whether a greeting is that of an agent that can be talked to.
func (r *Reply) Check() error {
	if r.Version == Version && r.Error != "" {
		return errors.New(r.Error)
	}
	if r.Version != Version {
		return fmt.Errorf("the agent speaks version %d of its protocol, this bulkhead %d", r.Version, Version)
	}
	return nil
}
