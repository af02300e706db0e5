// Package netns is the agent's work in a network namespace: packets that vanish, TCP connections
// that go through a proxy which delays, slows or resets them, questions for names that get
// wrong answers, and queues. It undoes everything when its other end goes away. It works in the
// namespace that the process runs in and in no other. Only the agent's own main calls it.
package netns
