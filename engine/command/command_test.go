package command

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"bulkhead/engine/fault"
)

func TestUpIsPlainOnlyWhenItAsksForNothingMore(t *testing.T) {
	for _, c := range []struct {
		name string
		cmd  Command
		want bool
	}{
		{"of one service", Command{Verb: Up, Services: []string{"web"}, Cause: "you pressed u"}, true},
		{"with recreate", Command{Verb: Up, Recreate: Never}, false},
		{"with renew", Command{Verb: Up, Renew: true}, false},
		{"that starts nothing", Command{Verb: Up, NoStart: true}, false},
		{"with a pull policy", Command{Verb: Up, Pull: "always"}, false},
	} {
		if got := c.cmd.Plain(); got != c.want {
			t.Errorf("an up %s is plain: %v, want %v", c.name, got, c.want)
		}
	}
}

// The control socket carries commands as JSON: every field must come through, and a zero grace is not none.
func TestCommandSurvivesTheSocket(t *testing.T) {
	grace := time.Duration(0)
	c := Command{Fault: &fault.Fault{Service: "db"}, Grace: &grace}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(3)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"a", "b"}))
		}
	}
	c.Mode = 1
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got Command
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("came through as %+v\nwant %+v", got, c)
	}
}
