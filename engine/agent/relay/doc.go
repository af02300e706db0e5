// Package relay opens TCP connections in the network namespace that the agent was started in, and
// carries their bytes over the agent's input and output, several at a time. The agent serves
// (Serve), package docker asks (Client). It changes nothing in that namespace, needs no capability,
// and works beside an agent that has a fault in force there. It imports nothing of bulkhead but the
// agent's protocol.
package relay
