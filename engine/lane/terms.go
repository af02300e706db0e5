package lane

import (
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/project"
)

// HostCommands lists what a project runs on this machine.
func HostCommands(p *project.Project) []hostcmd.Terms {
	var all []hostcmd.Terms
	for _, s := range p.Services {
		all = append(all, hostCommands(s)...)
	}
	return all
}

func hostCommands(s *project.Service) []hostcmd.Terms {
	var all []hostcmd.Terms
	for _, c := range s.HostCommands {
		all = append(all, hostcmd.Terms{Service: c.Service, Kind: c.Kind, Place: c.Place,
			Command: c.Command, Env: c.Env})
	}
	return all
}

// termsOf are those of one command of a service.
func termsOf(s *project.Service, kind string) hostcmd.Terms {
	for _, t := range hostCommands(s) {
		if t.Kind == kind {
			return t
		}
	}
	return hostcmd.Terms{Service: s.Name, Kind: kind} // nobody has agreed to it
}
