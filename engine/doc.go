// Package engine runs one project: it compares what the project wants with what a runtime shows,
// has the difference planned, and has it carried out, by one lane per service (engine/lane). What is
// known is owned by engine/state, what it means is judged by engine/condition; the engine knows no
// screen, and decides and does nothing that a room of its own decides or does. Engine is the façade;
// its parts are observer (events.go), commander, faults, taps (tap.go), drills, reloader and watching.
//
// Who sends what to whom:
//
//	files -> watch.Batch -> watching -> plan.WorkFor -> Lane.Offer        changed files become work of lanes
//	screen, verb, socket -> Engine.Do -> commander -> Task -> Lane        commands become tasks of lanes
//	Lane -> worker -> convergence -> plan.Decide, DecideImage …           a task is planned, stage by stage,
//	convergence -> hostcmd.Run, image.Store -> container.Builder          what the image is made from, and the image,
//	convergence -> resource.Store -> container.Provisioner                its networks and volumes,
//	convergence -> walk -> step.Runner                                    then its containers
//	Parts.OutlookOf -> plan.First -> state.Planned                        what a first up begins with, before it begins
//	batchRun -> filesync.Compare -> plan.DecideFiles -> filesync.Send     files are copied, their rules acted upon
//	worker -> state.Await -> condition                                    waits look at views of the state
//	step.Runner -> host -> state.Notes, observer.adopt                    what became of a step changes the state
//	container.Events -> observer.handle -> state.Member.React, adopt      so does what happens by itself
//	adopt -> state.Member.Adopt -> lives -> tail.Tailer -> logs.Store     each life has its log followed
//	screen -> Engine.Preview -> container.Previewer                       a line without an end is seen, never kept
//	adopt -> follow -> probe.Early, Lane.Enqueue                          and is probed; joiners come along
//	stats.Sampler -> state                                                readings of what runs
//	state -> fault.Ledgers, fault.LikelyCause                             who was touched, and by what
//	fault, heal -> faults -> fault.Injector -> agents, container.Limiter  what is broken on purpose, until healed
//	fault.Injector -> fault.Act -> commander                              kill, stop, pause go the way of commands
//	tap -> taps -> fault.Injector -> agents -> edge.Table, drill.Drill    who calls whom, and how well
//	Drill -> drill.Drill -> subject -> faults, probe, logs, state         a fault on each service in turn
//	down, kill, first up -> sweep.Sweeper                                 what is left beside the services
//	saved Compose file -> watching -> reloader -> lanes                   a changed project, once the user applies it
//	state -> Subscribe -> Snapshot                                        readers get a token and come and look
//	journal.Journal                                                       what outlives the process
package engine
