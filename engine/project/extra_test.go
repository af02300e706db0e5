package project

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const overlaid = `
-- compose.yaml --
services:
  orders: {build: ./orders, image: orders:1, environment: {A: b}}
  gateway: {image: gateway, x-bulkhead: {watch: manual, may_degrade: [orders]}}
-- compose.bulkhead.yaml --
x-common: &common {swap: overlap}
services:
  orders:
    build: {target: dev}
    develop: {watch: [{path: orders, action: sync, target: /src}]}
    x-bulkhead:
      <<: *common
      prepare:
        run: go build ./orders
        env: {CGO_ENABLED: "0", N: 5}
        watch: [./orders]
      probe: http://localhost:8080/health
      may_degrade: [{gateway: {errors: 20%, p95: 2s}}]
      sync_owner: host
  gateway:
    x-bulkhead: {watch: off, may_degrade: [orders, gateway], calls: orders}
`

func TestOverlayIsMergedLastAndHashesNothing(t *testing.T) {
	dir := write(t, overlaid)
	p := load(t, Options{})
	bare := load(t, Options{Files: []string{"compose.yaml"}})
	orders := p.Service("orders")
	if orders.Config.Build.Target != "dev" || orders.Config.Build.Context != filepath.Join(dir,
		"orders") || orders.Bare.Build.Target != "" {
		t.Errorf("build %+v, bare %+v", orders.Config.Build, orders.Bare.Build)
	}
	if len(orders.Rules) != 1 || orders.Rules[0].Action != Sync || orders.Bare.Develop != nil {
		t.Errorf("rules %+v", orders.Rules)
	}
	if bare.Service("orders").Extra.Swap != Overlap {
		t.Error("the overlay is merged with -f as well")
	}
	if hash, err := ServiceHash(orders.Bare); err != nil || hash != orders.Hash {
		t.Errorf("hash %s of bare, %s: %v", hash, orders.Hash, err)
	}
	if !slices.Equal(p.Files, []string{filepath.Join(dir, "compose.yaml")}) ||
		!slices.Contains(p.Inputs, filepath.Join(dir, "compose.bulkhead.yaml")) {
		t.Errorf("files %v, inputs %v", p.Files, p.Inputs)
	}
	write(t, "-- compose.yaml --\nservices:\n  orders: {build: ./orders, image: orders:1, environment: {A: b}}\n")
	if alone := load(t, Options{}).Service("orders"); alone.Hash != orders.Hash {
		t.Errorf("the overlay changed the hash from %s to %s", alone.Hash, orders.Hash)
	}
}

func TestExtension(t *testing.T) {
	dir := write(t, overlaid)
	p := load(t, Options{})
	e := p.Service("orders").Extra
	if e.Probe != "http://localhost:8080/health" || e.Swap != Overlap || e.Watch != Auto ||
		!slices.Equal(e.MayDegrade, []Degrade{{Service: "gateway", Errors: .2, P95: 2 * time.Second}}) {
		t.Errorf("%+v", e)
	}
	if e.SyncOwner != HostOwner || p.Service("gateway").Extra.SyncOwner != TargetOwner ||
		e.SyncOwner.String() != "host" {
		t.Errorf("sync_owner %v and %v", e.SyncOwner, p.Service("gateway").Extra.SyncOwner)
	}
	if pr := e.Prepare; pr.Run != "go build ./orders" ||
		!maps.Equal(pr.Env, map[string]string{"CGO_ENABLED": "0", "N": "5"}) ||
		!slices.Equal(pr.Watch, []string{filepath.Join(dir, "orders")}) {
		t.Errorf("%+v", pr)
	}
	g := p.Service("gateway").Extra
	if g.Watch != Off || g.Swap != Replace || g.Prepare != nil || !slices.Equal(g.Calls, []string{"orders"}) ||
		!slices.Equal(g.MayDegrade, []Degrade{{Service: "gateway", Errors: 1},
			{Service: "orders", Errors: 1}}) {
		t.Errorf("%+v", g)
	}
	if g.Watch.String() != "off" || e.Swap.String() != "overlap" || Swap(9).String() != "unknown" {
		t.Error("spelling")
	}
}

// Where the agent cannot be process 1 the file does not load, and says why and where.
func TestRestartOfTheProcessAloneIsRefusedWhereItCannotBe(t *testing.T) {
	for more, want := range map[string]string{
		"init: true": "init: true", "pid: host": "pid: host", "pid: 'service:b'": "pid: service:b",
	} {
		write(t, "-- compose.yaml --\nservices:\n  a:\n    image: x\n    "+more+
			"\n    x-bulkhead: {restart: process}\n  b: {image: x}\n")
		_, err := Load(t.Context(), Options{})
		var le *LoadError
		if !errors.As(err, &le) || !strings.Contains(err.Error(), want) || le.Line != 5 && le.Line != 6 {
			t.Errorf("%s: %v", more, err)
		}
	}
	write(t, "-- compose.yaml --\nservices:\n  a: {image: x, x-bulkhead: {restart: process}}\n  b: {image: x}\n")
	p := load(t, Options{})
	if a, b := p.Service("a").Extra.Restart, p.Service("b").Extra.Restart; a != ProcessScope ||
		b != ContainerScope || a.String() != "process" {
		t.Errorf("restart is %v and %v", a, b)
	}
	with := p.Service("a").Hash
	write(t, "-- compose.yaml --\nservices:\n  a: {image: x}\n")
	if without := load(t, Options{}).Service("a").Hash; with != without {
		t.Errorf("the hash is %s with restart: process, and %s without", with, without)
	}
}
