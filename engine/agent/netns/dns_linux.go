package netns

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/agent"
)

// resolver answers questions for names wrongly where a rule wants that, and passes on all others.
type resolver struct {
	udp      *net.UDPConn
	tcp      *net.TCPListener
	upstream string // the namespace's own resolver
	slots    chan struct{}
	wg       sync.WaitGroup

	mu    sync.Mutex
	rules []agent.Rule
}

const (
	nxdomain = 3
	servfail = 2
	// answerWithin is how long the namespace's own resolver may take.
	answerWithin = 10 * time.Second
	questions    = 256 // at a time
)

func listenResolver() (*resolver, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		udp.Close()
		return nil, err
	}
	r := &resolver{udp: udp, tcp: tcp, upstream: nameserver("/etc/resolv.conf"),
		slots: make(chan struct{}, questions)}
	r.wg.Go(r.serveUDP)
	r.wg.Go(r.serveTCP)
	return r, nil
}

// nameserver is the first one of a resolv.conf; without any it is what the engine uses.
func nameserver(file string) string {
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if words := strings.Fields(s.Text()); len(words) > 1 && words[0] == "nameserver" &&
				net.ParseIP(words[1]) != nil {
				return net.JoinHostPort(words[1], "53")
			}
		}
	}
	return "127.0.0.11:53"
}

func (r *resolver) set(rules []agent.Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = nil
	for _, one := range rules {
		if one.Does == agent.Resolve {
			r.rules = append(r.rules, one)
		}
	}
}

func (r *resolver) close() {
	_ = r.udp.Close()
	_ = r.tcp.Close()
}

func (r *resolver) serveUDP() {
	for {
		buf := make([]byte, 4096)
		n, from, err := r.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		select {
		case r.slots <- struct{}{}:
		default:
			continue // a flood of questions: the caller asks again
		}
		r.wg.Go(func() {
			defer func() { <-r.slots }()
			if answer := r.answer(buf[:n], "udp"); answer != nil {
				_, _ = r.udp.WriteToUDPAddrPort(answer, from)
			}
		})
	}
}

func (r *resolver) serveTCP() {
	for {
		c, err := r.tcp.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond) // no more files, most likely
			continue
		}
		r.wg.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * answerWithin))
			for {
				question, err := readFramed(c)
				if err != nil {
					return
				}
				answer := r.answer(question, "tcp")
				if answer == nil {
					_, _ = io.Copy(io.Discard, c) // silence
					return
				}
				if writeFramed(c, answer) != nil {
					return
				}
			}
		})
	}
}

func readFramed(c io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

func writeFramed(c io.Writer, b []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// answer is what a question gets; nil for silence.
func (r *resolver) answer(question []byte, network string) []byte {
	name, end := questioned(question)
	switch wrong := r.wrong(name); wrong {
	case "":
	case "silence":
		return nil
	case "servfail":
		return refusal(question, end, servfail)
	default:
		return refusal(question, end, nxdomain)
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	c, err := markedDialer.DialContext(ctx, network, r.upstream)
	if err != nil {
		return refusal(question, end, servfail)
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if network == "tcp" {
		if writeFramed(c, question) != nil {
			return refusal(question, end, servfail)
		}
		answer, err := readFramed(c)
		if err != nil {
			return refusal(question, end, servfail)
		}
		return answer
	}
	if _, err := c.Write(question); err != nil {
		return refusal(question, end, servfail)
	}
	buf := make([]byte, 65535)
	n, err := c.Read(buf)
	if err != nil {
		return nil // as silent as the resolver
	}
	return buf[:n]
}

// wrong is how a name is answered wrongly: by the last rule that is about it; "" when it is not.
func (r *resolver) wrong(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	how := ""
	for _, rule := range r.rules {
		if rule.Name == "" || name == rule.Name || strings.HasPrefix(name, rule.Name+".") {
			how = rule.Answer
		}
	}
	return how
}

// questioned reads the name of the first question, and where the question ends; 0 when the message
// is not a question.
func questioned(m []byte) (name string, end int) {
	const header = 12
	if len(m) < header || m[2]&0x80 != 0 || binary.BigEndian.Uint16(m[4:]) == 0 {
		return "", 0
	}
	var labels []string
	for i := header; i < len(m); {
		n := int(m[i])
		if n == 0 {
			if i+5 > len(m) {
				return "", 0
			}
			return strings.ToLower(strings.Join(labels, ".")), i + 5
		}
		if n > 63 || i+1+n > len(m) {
			return "", 0
		}
		labels = append(labels, string(m[i+1:i+1+n]))
		i += 1 + n
	}
	return "", 0
}

// refusal is an answer without records.
func refusal(question []byte, end int, code byte) []byte {
	if end == 0 {
		return nil
	}
	out := append([]byte(nil), question[:end]...)
	out[2] = out[2]&0x79 | 0x80 // an answer; the opcode and "recursion desired" as they were
	out[3] = 0x80 | code        // recursion available
	binary.BigEndian.PutUint16(out[4:], 1)
	for i := 6; i < 12; i++ {
		out[i] = 0
	}
	return out
}
