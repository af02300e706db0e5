package cli

import (
	"io"

	"github.com/docker/go-units"

	"bulkhead/engine/container"
)

// containerUse is a line of stats --all-projects; its JSON has docker compose's keys.
type containerUse struct {
	Project, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO string
	PIDs                                                      uint64
}

// projectUse is a line of stats --aggregate.
type projectUse struct {
	Project                           string
	Containers                        int
	CPUPerc, MemUsage, NetIO, BlockIO string
	PIDs                              uint64
}

// projects prints a line for each container with its project, or with --aggregate one for each project.
func (v *statsVerb) projects(w io.Writer, all []statsReading) error {
	if v.aggregate {
		return writeList(w, v.format, true, []string{"PROJECT", "CONTAINERS", "CPU %", "MEM USAGE",
			"NET I/O", "BLOCK I/O", "PIDS"}, sums(all),
			func(p projectUse) []any {
				return []any{p.Project, p.Containers, p.CPUPerc, p.MemUsage, p.NetIO, p.BlockIO, p.PIDs}
			})
	}
	var rows []containerUse
	for _, r := range all {
		u := r.use
		rows = append(rows, containerUse{Project: r.s.Project, Name: r.s.Name, CPUPerc: percent(u.CPU),
			MemUsage: units.BytesSize(u.Mem) + " / " + units.BytesSize(u.MemLimit),
			MemPerc:  percent(memPercent(u)),
			NetIO:    inOut(u.NetRx, u.NetTx), BlockIO: inOut(u.BlkRead, u.BlkWrite), PIDs: u.Processes})
	}
	return writeList(w, v.format, true, []string{"PROJECT", "NAME", "CPU %", "MEM USAGE / LIMIT",
		"MEM %", "NET I/O", "BLOCK I/O", "PIDS"}, rows,
		func(c containerUse) []any {
			return []any{c.Project, c.Name, c.CPUPerc, c.MemUsage, c.MemPerc, c.NetIO, c.BlockIO, c.PIDs}
		})
}

// sums adds up the readings of each project; they are sorted by it.
func sums(all []statsReading) []projectUse {
	var rows []projectUse
	for i := 0; i < len(all); {
		var u container.Sample
		first := i
		for ; i < len(all) && all[i].s.Project == all[first].s.Project; i++ {
			x := all[i].use
			u.CPU, u.Mem, u.NetRx, u.NetTx = u.CPU+x.CPU, u.Mem+x.Mem, u.NetRx+x.NetRx, u.NetTx+x.NetTx
			u.BlkRead, u.BlkWrite, u.Processes = u.BlkRead+x.BlkRead, u.BlkWrite+x.BlkWrite,
				u.Processes+x.Processes
		}
		rows = append(rows, projectUse{Project: all[first].s.Project, Containers: i - first,
			CPUPerc:  percent(u.CPU),
			MemUsage: units.BytesSize(u.Mem), NetIO: inOut(u.NetRx, u.NetTx),
			BlockIO: inOut(u.BlkRead, u.BlkWrite), PIDs: u.Processes})
	}
	return rows
}
