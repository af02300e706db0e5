package drill

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// leak is a drill of the shop whose gateway waits for ever, with pause: two of its rows.
func leak(t *testing.T) *Report {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "leak.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReportIsAsItsSchemaSays(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "drill.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	back := int64(5)
	for name, r := range map[string]*Report{"leak": leak(t), "empty": {Schema: Schema, Repeat: 1,
		Phase: PhaseAborted, Services: []string{}, Edges: []Edge{},
		Baseline: []Baseline{},
		Rows: []Row{merge([]Row{{Killed: "a", Cells: []Cell{}, BackInMS: &back,
			Verdict: Isolated}, {Killed: "a", Cells: []Cell{}, Verdict: Stuck}})}}} {
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var bad any
	if err := json.Unmarshal(
		[]byte(`{"schema": "bulkhead.drill/1", "rows": [{"killed": "a", "verdict": "fine"}]}`),
		&bad); err != nil || schema.Validate(bad) == nil {
		t.Errorf("the schema takes anything: %v", err)
	}
}

func TestJUnitHasACaseForEachRow(t *testing.T) {
	var b bytes.Buffer
	if err := leak(t).WriteJUnit(&b, DefaultFailOn()); err != nil {
		t.Fatal(err)
	}
	var s junitSuite
	if err := xml.Unmarshal(b.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Tests != 2 || s.Failures != 1 || s.Errors != 0 || s.Cases[0].Failure != nil ||
		s.Cases[1].Name != "pause on catalog" || s.Cases[1].Failure == nil ||
		!strings.Contains(s.Cases[1].Failure.Text, "no answer in 3s") {
		t.Errorf("%s", b.String())
	}
}

func TestMarkdownHasTheMatrixAndTheEvidence(t *testing.T) {
	var b bytes.Buffer
	if err := leak(t).WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Drill of shop: pause", "| fault on | web | loadgen | gateway |",
		"LEAK &lt;-", "## catalog: leak", "| gateway | catalog | depends_on |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// loads finds what a page would fetch from somewhere, or run.
var loads = regexp.MustCompile(
	`(?i)<(script|link|img|iframe|object|embed|base)|@import|url\(|<[^>]*\s(src|on[a-z]+)=`)

func TestPageNeedsNothingFromAnywhere(t *testing.T) {
	r := leak(t)
	hostile := `</title><script>alert(1)</script><img src=x onerror=alert(1)>`
	r.Rows[1].Cells[0].Evidence = append(r.Rows[1].Cells[0].Evidence,
		Evidence{Kind: kindLog, Text: hostile + "\x1b[2J"})
	r.Rows[1].Why = hostile
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	titles := regexp.MustCompile(`(?s)title="[^"]*"`) // quoted, so no markup
	if at := loads.FindString(titles.ReplaceAllString(b.String(), "")); at != "" {
		t.Errorf("the page has %q", at)
	}
	for _, want := range []string{"prefers-color-scheme: dark", `id="matrix"`, `id="edges"`,
		`id="row-catalog" open`, "<svg", "LEAK", "&lt;script&gt;"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in the page", want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape is in the page")
	}
}

// A real browser opens the page where one is installed, in dark and in light.
func TestPageOpensInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium on this machine: the page is checked as text alone")
	}
	page := filepath.Join(t.TempDir(), "drill.html")
	if err := leak(t).Save(page); err != nil {
		t.Fatal(err)
	}
	for _, dark := range []string{"0", "1"} { // 0 is dark
		out, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox",
			"--disable-gpu", "--user-data-dir="+t.TempDir(),
			"--blink-settings=preferredColorScheme="+dark, "--dump-dom", "file://"+page).Output()
		if err != nil {
			t.Fatalf("%s: %v", browser, err)
		}
		if text := string(out); !strings.Contains(text, `<table>`) ||
			!strings.Contains(text, "Who suffers") || strings.Count(text, "<svg") < 2 {
			t.Errorf("the browser sees\n%s", text)
		}
	}
}

func TestComparisonSaysWhatGotBetterAndWorse(t *testing.T) {
	old, now := leak(t), leak(t)
	row := &now.Rows[1]
	row.Verdict, row.Cell("gateway").Declared = Expected, true
	row.Cell("web").Outcome = Died
	var all []string
	for _, d := range Compare(old, now) {
		all = append(all, d.String())
	}
	got := strings.Join(all, "\n")
	if !strings.Contains(got, "catalog: leak -> expected, better") ||
		!strings.Contains(got, "-> died, worse") || len(all) != 2 {
		t.Errorf("%s", got)
	}
}
