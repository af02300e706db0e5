package ui

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/logs"
	"bulkhead/ui/internal/hostile"
)

// foreigner is a Backend all of whose texts try to command the terminal.
type foreigner struct{ *fake }

func (foreigner) FaultsLacking(context.Context) (map[string]string, error) {
	return map[string]string{"delay" + hostile.Text: "no " + hostile.Text}, errors.New(hostile.Text)
}

func (foreigner) Preview(context.Context, string, int, func(string)) error {
	return errors.New(hostile.Text)
}

func (foreigner) DrillAct(drill.Act, string) error { return errors.New(hostile.Text) }

// Whatever a Backend returns is clean before any pane sees it. A method that is new and returns text
// has to be one of cleanBackend's own: one that is only promoted is found here, as is one that
// forgets a result.
func TestEveryAnswerOfTheBackendIsClean(t *testing.T) {
	f := hostileShop()
	f.drill = func(drill.Options) (*drill.Report, error) {
		var r drill.Report
		hostile.Fill(&r)
		return &r, errors.New(hostile.Text)
	}
	f.older = func() (o engine.Older) { hostile.Fill(&o); return o }
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // for what goes on until it ends
	own := methodsOf(t, "cleanBackend")
	b := reflect.ValueOf(&cleanBackend{Backend: foreigner{f}})
	face := reflect.TypeFor[Backend]()
	for i := range face.NumMethod() {
		m := face.Method(i)
		texts := false
		for j := range m.Type.NumOut() {
			texts = texts || textIn(m.Type.Out(j), nil)
		}
		if texts && !own[m.Name] {
			t.Errorf("Backend.%s returns text that comes from outside, and cleanBackend does not clean it", m.Name)
		}
		var args []reflect.Value
		for j := range m.Type.NumIn() {
			in := reflect.Zero(m.Type.In(j))
			if m.Type.In(j) == reflect.TypeFor[context.Context]() {
				in = reflect.ValueOf(ctx)
			}
			args = append(args, in)
		}
		for _, r := range b.MethodByName(m.Name).Call(args) {
			if !textIn(r.Type(), nil) {
				continue
			}
			if err, ok := r.Interface().(error); ok {
				if bad := hostile.Check(err.Error(), true); bad != "" {
					t.Errorf("the error of Backend.%s: %s", m.Name, bad)
				}
			} else if dirty := r.Interface(); !reflect.DeepEqual(logs.CleanAll(dirty), dirty) {
				t.Errorf("Backend.%s: text of %s is not clean", m.Name, r.Type())
			}
		}
	}
}

// textIn says whether values of a type can hold text, as far as others can see it.
func textIn(t reflect.Type, above []reflect.Type) bool {
	if slices.Contains(above, t) {
		return false
	}
	above = append(above[:len(above):len(above)], t)
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		return true
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return textIn(t.Elem(), above)
	case reflect.Map:
		return textIn(t.Key(), above) || textIn(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && textIn(f.Type, above) {
				return true
			}
		}
	}
	return false
}

// eachSource calls look with the files of this package that are not tests.
func eachSource(t *testing.T, look func(name string, file *ast.File)) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		look(name, file)
	}
}

// methodsOf are the methods that are written for a type of this package.
func methodsOf(t *testing.T, of string) map[string]bool {
	all := map[string]bool{}
	eachSource(t, func(_ string, file *ast.File) {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			recv := fn.Recv.List[0].Type
			if p, ok := recv.(*ast.StarExpr); ok {
				recv = p.X
			}
			if id, ok := recv.(*ast.Ident); ok && id.Name == of {
				all[fn.Name.Name] = true
			}
		}
	})
	return all
}

// What the screen shows comes from its Backend and from the log lines, which are cleaned. A pane that
// reads a file, runs a program or asks the network by itself would have another way in.
func TestScreenReadsNothingByItself(t *testing.T) {
	reviewed := map[string]string{
		"clipboard.go exec.CommandContext": "takes what is copied, and what it says is checked for a word alone",
		"ports.go exec.Command":            "opens a browser; its error goes through the status line",
		"source.go exec.Command":           "the user's own editor, which has the terminal",
		"logexport.go os.OpenFile":         "written, never read",
		"notify.go os.OpenFile":            "written, never read",
	}
	reads := map[string][]string{
		"os": {"ReadFile", "Open", "OpenFile", "ReadDir", "Readlink", "OpenRoot", "DirFS",
			"Root", "OpenInRoot"},
		"os/exec": {"Command", "CommandContext"},
		"net":     {"Dial", "DialTimeout", "Dialer", "Listen"},
	}
	eachSource(t, func(name string, file *ast.File) {
		imported := map[string][]string{}
		for _, i := range file.Imports {
			path, _ := strconv.Unquote(i.Path.Value) // it was parsed
			switch {
			case i.Name != nil && i.Name.Name != "tea" &&
				(reads[path] != nil || path == "io/ioutil" || path == "net/http"):
				t.Errorf("%s imports %s under another name", name, path)
			case path == "io/ioutil" || path == "net/http" || path == "syscall" &&
				!strings.HasSuffix(name, "_unix.go"):
				t.Errorf("%s imports %s", name, path)
			}
			imported[path[strings.LastIndexByte(path, '/')+1:]] = reads[path]
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if ok && slices.Contains(imported[x.Name], s.Sel.Name) {
				what := name + " " + x.Name + "." + s.Sel.Name
				if reviewed[what] == "" {
					t.Errorf("%s: text from outside gets to the screen by the Backend alone, where it is cleaned", what)
				}
				delete(reviewed, what)
			}
			return true
		})
	})
	for what := range reviewed {
		t.Errorf("%s is reviewed and not there", what)
	}
}
