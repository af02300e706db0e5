package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
	"bulkhead/engine/container/conformance"
)

func TestDockerConforms(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		shared := runtimeForTest(t)
		t.Parallel()
		rt, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		name := conformanceProject(t.Name())
		t.Cleanup(func() {
			clearConformance(t, shared, name)
			rt.Close()
		})
		builds := 0
		return conformance.Harness{
			Runtime: rt, Project: name, Image: testImage("tools"), Command: shellOf,
			TakeOff: func(t *testing.T, id, network string) {
				if _, err := rt.cli.NetworkDisconnect(t.Context(), network,
					client.NetworkDisconnectOptions{Container: id, Force: true}); err != nil {
					t.Fatal(err)
				}
			},
			Build: func(t *testing.T, image string) string {
				builds++
				return buildFor(t, shared, name, image, builds)
			},
		}
	})
}

// conformanceProject makes a project's name of a case's.
func conformanceProject(test string) string {
	_, words, _ := strings.Cut(test, "/")
	words = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, words)
	return prefix + "-" + words[:min(len(words), 20)]
}

// clearConformance removes what a case made.
func clearConformance(t *testing.T, r *Runtime, project string) {
	ctx := context.Background()
	for _, name := range []string{project, project + "x"} { // a case has a second project
		list, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: labelFilter(labelProject + "=" + name)})
		if err != nil {
			t.Error(err)
		}
		for _, c := range list.Items {
			if err := r.Remove(ctx, c.ID, true, true); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := r.RemoveNetworks(ctx, project, nil); err != nil {
		t.Error(err)
	}
	if _, err := r.RemoveVolumes(ctx, project, nil); err != nil {
		t.Error(err)
	}
	images, err := r.ProjectImages(ctx, project, true)
	if err != nil {
		t.Error(err)
	}
	for _, id := range images {
		if _, err := r.cli.ImageRemove(ctx, id, client.ImageRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	}
}

// shellOf is a program of the suite as a shell command.
func shellOf(p conformance.Program) []string {
	var s strings.Builder
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	if p.OnStop != "" {
		last := ""
		if p.Last != "" {
			last = "echo " + p.Last + "; "
		}
		fmt.Fprintf(&s, "trap %s %s; ", quote(fmt.Sprintf("%sexit %d", last, p.Code)), p.OnStop)
	}
	for _, l := range p.Out {
		fmt.Fprintf(&s, "echo %s; ", quote(l))
	}
	for _, l := range p.Err {
		fmt.Fprintf(&s, "echo %s >&2; ", quote(l))
	}
	if p.Open != "" {
		fmt.Fprintf(&s, "printf %s; ", quote(p.Open))
	}
	if p.Exits {
		fmt.Fprintf(&s, "exit %d", p.Code)
	} else {
		s.WriteString("while :; do sleep 0.1; done")
	}
	return []string{"sh", "-c", s.String()}
}

// buildFor makes an image with the labels of a project, and a content of its own.
func buildFor(t *testing.T, r *Runtime, project, name string, n int) string {
	t.Helper()
	dockerfile := fmt.Sprintf("FROM %s\nLABEL build=%s-%d\n", testImage("tools"), project, n)
	if err := classicBuildFor(r, project, name, dockerfile); err != nil {
		t.Fatal(err)
	}
	img, err := r.Image(context.Background(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	return img.ID
}

// classicBuildFor is a build of one Dockerfile and nothing else.
func classicBuildFor(r *Runtime, project, name, dockerfile string) error {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "Dockerfile", Mode: 0o644,
		Size: int64(len(dockerfile))}); err != nil {
		return err
	}
	if _, err := io.WriteString(w, dockerfile); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	req := container.BuildRequest{Service: "web", Tags: []string{name},
		Labels: map[string]string{labelProject: project, labelService: "web"}}
	return r.ClassicBuild(context.Background(), req, &buf, "Dockerfile", func(string) {})
}
