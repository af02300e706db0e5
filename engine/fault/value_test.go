package fault

import (
	"strings"
	"testing"
	"time"
)

func TestWordsBecomeFaults(t *testing.T) {
	for words, want := range map[string]Params{
		"kill":                {},
		"crash":               {Signal: "SIGSEGV"},
		"crash=abrt":          {Signal: "SIGABRT"},
		"signal=hup":          {Signal: "SIGHUP"},
		"signal=1":            {Signal: "1"},
		"latency=500ms":       {Delay: 500 * time.Millisecond},
		"Latency=1s":          {Delay: time.Second},
		"jitter=50ms":         {Jitter: 50 * time.Millisecond},
		"bandwidth=1mbit":     {Rate: 1_000_000},
		"bandwidth=64kbit/s":  {Rate: 64_000},
		"bandwidth=2.5Mbps":   {Rate: 2_500_000},
		"loss=10%":            {Share: 0.1},
		"reset":               {Share: 1},
		"reset=30%":           {Share: 0.3},
		"partition":           {},
		"partition=both":      {Both: true},
		"dns":                 {Answer: "nxdomain"},
		"dns=servfail":        {Answer: "servfail"},
		"dns=silence:Orders.": {Answer: "silence", Name: "orders"},
		"cpu=0.1":             {CPUs: 0.1},
		"cpu=20%":             {CPUs: 0.2},
		"memory=64m":          {Memory: 64 << 20},
		"memory=1GiB":         {Memory: 1 << 30},
		"delay=100ms":         {Delay: 100 * time.Millisecond},
		"shape=1gbit":         {Rate: 1_000_000_000},
	} {
		f, err := Parse(words, "orders")
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		if got, err := f.Params(); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", words, got, err, want)
		}
	}
}

func TestWordsThatAreNoFaultSayWhatMayStandThere(t *testing.T) {
	for words, want := range map[string]string{
		"late=1s":          "no such fault; there are kill, crash,",
		"latency":          "it needs a value; write latency=500ms",
		"latency=500":      `"500" is not a duration; write latency=500ms`,
		"latency=-1s":      "between a moment and one minute",
		"latency=2h":       "between a moment and one minute",
		"kill=now":         "kill takes no value",
		"loss=10":          `"10" is not a share in percent; write loss=10%`,
		"loss=NaN%":        "not a share",
		"loss=101%":        "between 0.1% and 100%",
		"bandwidth=10":     "bits a second with its unit",
		"bandwidth=1bit":   "between 8kbit and",
		"crash=KILL":       "SIGKILL is no crash",
		"signal=;rm":       "is not a signal",
		"cpu=0":            "0.01 or more cores",
		"memory=1m":        "6m or more",
		"dns=maybe":        `"maybe" is not one of nxdomain, servfail, silence`,
		"partition=oneway": `"oneway" is not a direction`,
	} {
		if _, err := Parse(words, "orders"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want … %s …", words, err, want)
		}
	}
}

func TestFaultIsCheckedAsAWhole(t *testing.T) {
	for want, f := range map[string]Fault{
		"": {Kind: "latency", With: "1s", Service: "orders",
			From: "gateway", For: time.Minute},
		"name a service":               {Kind: "kill"},
		"between a moment and 1h00m":   {Kind: "kill", Service: "orders", For: 2 * time.Hour},
		"of the whole service":         {Kind: "kill", Service: "orders", From: "gateway"},
		"not both":                     {Kind: "loss", With: "1%", Service: "orders", From: "a", To: "b"},
		"leads from orders to itself":  {Kind: "loss", With: "1%", Service: "orders", From: "orders"},
		"no such fault; there are":     {Kind: "x", Service: "orders"},
		`"" is not a share in percent`: {Kind: "loss", Service: "orders"},
	} {
		err := f.Check()
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want … %s …", f, err, want)
		}
	}
}

func TestEveryKindIsWholeAndItsExampleWorks(t *testing.T) {
	for _, k := range Kinds() {
		f, err := Parse(k.Example, "orders")
		if err != nil || f.Kind != k.Name || k.Help == "" || k.Scope == ScopeUnknown {
			t.Errorf("%s: %+v %v", k.Name, k, err)
		}
	}
}
