// Package engine runs one project: it compares what the project wants with what a runtime shows,
// has the difference planned, and carries it out, one lane per service. It owns all state under one
// lock and hands out immutable snapshots; it knows no screen, and decides and does nothing that a
// room of its own decides or does.
//
// Who sends what to whom:
//
//	files -> watch.Batch -> takeBatch -> plan.WorkFor -> lane.offer            changed files become work of lanes
//	screen, verb, control socket -> Engine.Do(Command) -> task -> lane         commands become tasks of lanes
//	lane.run -> compare -> plan.Decide -> walk -> step.Runner -> container.*   a lane has its task planned and walks the plan
//	lane -> images -> step.BuildRequest -> container.Builder                   an image is built or pulled before that
//	lane -> filesync.Syncer, hostcmd.Run                                       files are copied, prepare runs on the host
//	step.Runner -> host -> adopt, forget, updateState                          what became of a step changes the state
//	container.Events -> handle -> adopt, forget, updateState                   so does what happens by itself
//	adopt -> tail.Tailer -> logs.Store                                         each life of a container has its log followed
//	adopt, injectFault -> fault.Ledgers, fault.LikelyCause                     who was touched by what, and by what probably
//	updateState -> record, bump -> Subscribe -> Snapshot                       readers get a token and come and look
//	journal.Journal                                                            what outlives the process
package engine
