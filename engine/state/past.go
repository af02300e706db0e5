package state

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/engine/journal"
)

const (
	// pastSpan is how old a record may be to be kept for the next bulkhead: what the timeline shows.
	pastSpan = 5 * time.Minute
	// pastRecords is how many of them are kept at most; a project in trouble records a few a second.
	pastRecords = 300
)

// past are the last records of the bulkhead that ran the project before, and those that the next
// one is to find. The zero value keeps none.
type past struct {
	before []Record // of the one before; nobody writes to them
	kept   *journal.Table[Record]
	next   int
}

// openPast reads what the one before left that is still fresh.
func openPast(j *journal.Journal, now time.Time) past {
	p := past{kept: journal.TableOf[Record](j, "records")}
	var old []Record
	p.kept.DeleteFunc(func(_ string, r Record) bool {
		if now.Sub(r.Time) < pastSpan && !r.Time.After(now) {
			old = append(old, r)
		}
		return true
	})
	p.before = sortedByTime(old)
	for _, r := range p.before {
		p.keep(r)
	}
	return p
}

// keep keeps a record for the next bulkhead in the place of the oldest one. Only what happened to
// containers is kept, since that is what the timeline is made of.
func (p *past) keep(r Record) {
	if p.kept == nil || r.Service == "" || r.Kind != "service" && r.Kind != "fault" && r.Kind != "watch" &&
		r.Kind != "build" {
		return
	}
	what := ""
	if r.Err != "" {
		what = r.Action + " failed"
	}
	// What a program said stays out of the file.
	r.Paths, r.Stages, r.Ledger, r.Likely, r.Text, r.Err, r.What = nil, nil, nil, nil, "", "", what
	p.kept.Set(fmt.Sprint(p.next%pastRecords), r)
	p.next++
}

func sortedByTime(rs []Record) []Record {
	slices.SortStableFunc(rs, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return rs
}

// OpenPast reads what the bulkhead before left in a journal, and keeps there what the next one is to find.
func (st *State) OpenPast(j *journal.Journal) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.past = openPast(j, time.Now())
}
