package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

func TestDockerStartsThePluginWithItsOwnFlagsFirst(t *testing.T) {
	for _, c := range []struct {
		args, want []string
		env        map[string]string
	}{
		{[]string{"bulkhead", "up", "-d"}, []string{"up", "-d"}, map[string]string{}},
		{[]string{"--context", "far", "bulkhead", "-f", "x", "ps"}, []string{"-f", "x", "ps"},
			map[string]string{"DOCKER_CONTEXT": "far", "DOCKER_HOST": ""}},
		{[]string{"-H", "tcp://a:1", "--tlsverify", "--tlscacert", "/c/ca.pem", "-D", "-l", "info",
			"bulkhead"}, []string{},
			map[string]string{"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "",
				"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}},
		{[]string{"--config", "/d", "bulkhead", "ps"}, []string{"ps"},
			map[string]string{"DOCKER_CONFIG": "/d"}},
		{[]string{"__complete", "bulkhead", "up", ""}, []string{"__complete", "up", ""}, nil},
	} {
		p, ok := AsPlugin("/home/x/.docker/cli-plugins/docker-bulkhead", c.args)
		if !ok || !slices.Equal(p.Args, c.want) || !maps.Equal(p.Env, c.env) {
			t.Errorf("%q: %q %v %v", c.args, p.Args, p.Env, ok)
		}
	}
	p, ok := AsPlugin("docker-bulkhead", []string{"docker-cli-plugin-metadata"})
	var m struct{ SchemaVersion, Vendor string }
	if !ok || json.Unmarshal(p.Metadata, &m) != nil || m.SchemaVersion != "0.1.0" || m.Vendor == "" {
		t.Errorf("metadata %s", p.Metadata)
	}
	if _, ok := AsPlugin("bulkhead", []string{"bulkhead", "up"}); ok {
		t.Error("a program of another name is not a plugin")
	}
	if _, ok := AsPlugin("docker-bulkhead", []string{"ps"}); ok {
		t.Error("called by hand under the plugin's name it is itself")
	}
}
