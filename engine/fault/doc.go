// Package fault owns what is done to services on purpose, and the proof of what that did to the
// others: the catalogue of faults (Kinds), which says of each what it takes, what it needs of the
// runtime, and how it is injected and healed; Support, which finds out what is possible here; the
// Injector, which keeps the faults in force, heals them when their time is over, and writes each to
// disk before it is injected, so that it is healed after a crash; the ledger, which compares every
// other replica before and after; and the likely cause of trouble that comes later. It changes
// containers through the port alone, and has whoever runs it, its Host, kill, stop and start them.
// The engine and the verbs without a running engine call it.
package fault
