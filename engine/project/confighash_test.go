package project

import "testing"

func TestConfigHashHasParentsInPlaceOfServices(t *testing.T) {
	s := &Service{Name: "a"}
	s.Bare.Name, s.Bare.NetworkMode, s.Bare.VolumesFrom = "a", "service:db",
		[]string{"db:ro", "container:other:ro"}
	got, err := ConfigHash(s, map[string]string{"db": "0123"})
	if err != nil {
		t.Fatal(err)
	}
	want := s.Bare
	want.NetworkMode, want.VolumesFrom = "container:0123", []string{"0123", "other"}
	if hash, err := ServiceHash(want); err != nil || got != hash {
		t.Errorf("hash %q, want %q, %v", got, hash, err)
	}
	if s.Bare.VolumesFrom[0] != "db:ro" {
		t.Errorf("the service itself was changed: %q", s.Bare.VolumesFrom)
	}
}

func TestConfigHashWithoutParentsIsTheServicesOwn(t *testing.T) {
	if got, err := ConfigHash(&Service{Hash: "own"}, nil); got != "own" || err != nil {
		t.Errorf("hash %q, %v", got, err)
	}
}
