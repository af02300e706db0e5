package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

func TestImageTellsWhatTheLoopNeeds(t *testing.T) {
	b := open(t, sleeper)
	img, err := b.rt.Image(b.ctx, testImage("volume"), "")
	b.ok(err)
	if img.Stop != "SIGUSR1" || !img.Health || img.User != "adam" ||
		fmt.Sprint(img.Volumes) != "[/data]" || img.Digest != img.ID || img.Created.IsZero() {
		t.Errorf("image: %+v", img)
	}
	if _, err := b.rt.Image(b.ctx, testImage("none"), ""); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	if _, err := b.rt.Image(b.ctx, testImage("tools"), "windows/arm64"); !errors.Is(err,
		container.ErrNotFound) {
		t.Errorf("other platform: %v", err)
	}
	if _, err := b.rt.RemoveImage(b.ctx, img.ID, true); err != nil {
		t.Errorf("remove of an image with another's tag: %v", err)
	}
	if _, err := b.rt.Image(b.ctx, testImage("volume"), ""); err != nil {
		t.Errorf("an image with another's tag is gone: %v", err)
	}
}

func TestClassicBuildTellsLinesAndTheEnginesError(t *testing.T) {
	r := runtimeForTest(t)
	var lines []string
	err := classicBuild(r, "broken", "ARG CODE\nRUN echo \"code $CODE\" && exit $CODE\n",
		func(l string) { lines = append(lines, l) })
	if err == nil || !strings.Contains(err.Error(), "returned a non-zero code: 9") {
		t.Errorf("build: %v", err)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "Step 3/5 : RUN echo") ||
		!strings.Contains(all, "\ncode 9\n") {
		t.Errorf("lines: %q", lines)
	}
}

func TestOnlyTheBuildsOwnImagesAreRemoved(t *testing.T) {
	r, ctx := runtimeForTest(t), context.Background()
	build := func(text string) string {
		t.Helper()
		if err := classicBuild(r, "rm", "LABEL x="+text+"\n", func(string) {}); err != nil {
			t.Fatal(err)
		}
		img, err := r.Image(ctx, testImage("rm"), "")
		if err != nil {
			t.Fatal(err)
		}
		return img.ID
	}
	old := build("one")
	now := build("two")
	dangling, err := r.ProjectImages(ctx, testImage("rm"), false)
	if err != nil || len(dangling) != 1 || dangling[0] != old {
		t.Errorf("dangling: %v, %v; want %s", dangling, err, old)
	}
	for range 2 {
		if _, err := r.RemoveImage(ctx, old, true); err != nil {
			t.Error(err)
		}
	}
	if left, err := r.ProjectImages(ctx, testImage("rm"), true); err != nil || len(left) != 1 ||
		left[0] != now {
		t.Errorf("left: %v, %v; want %s", left, err, now)
	}
	// Its tag is not the one that a build of service web would have given it.
	if _, err := r.RemoveImage(ctx, now, true); err != nil {
		t.Error(err)
	}
	if _, err := r.Image(ctx, now, ""); err != nil {
		t.Errorf("a tagged image is gone: %v", err)
	}
	own := testImage("rm") + "-web"
	if _, err := r.cli.ImageTag(ctx, client.ImageTagOptions{Source: now, Target: own}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.cli.ImageRemove(ctx, testImage("rm"), client.ImageRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RemoveImage(ctx, now, true); err != nil {
		t.Error(err)
	}
	if _, err := r.Image(ctx, now, ""); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("the build's own image is still there: %v", err)
	}
}
