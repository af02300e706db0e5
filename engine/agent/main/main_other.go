//go:build !linux

// Command main is the agent, which runs on Linux only.
package main

func main() { panic("the agent runs on Linux") }
