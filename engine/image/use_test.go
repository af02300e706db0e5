package image

import (
	"context"
	"testing"
)

func TestImagesAreNotCleanedWhileOneIsMadeOrHeld(t *testing.T) {
	var u use
	ctx := t.Context()
	if err := u.make(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := u.beginCleaning(); ok {
		t.Fatal("cleaning began while an image was being made")
	}
	if err := u.make(ctx); err != nil {
		t.Fatal(err)
	}
	if u.made("a") {
		t.Error("the cleaning that waits was handed out while another image is being made")
	}
	if !u.made("") {
		t.Error("the cleaning that waits was not handed out")
	}
	kept, ok := u.beginCleaning()
	if !ok || kept["a"] != 1 {
		t.Errorf("cleaning begins %t and keeps %v, want the image that is held", ok, kept)
	}
	made := make(chan error, 1)
	go func() { made <- u.make(ctx) }()
	if _, ok := u.beginCleaning(); ok {
		t.Error("two cleanings at the same time")
	}
	select {
	case <-made:
		t.Error("an image is being made while others are removed")
	default:
	}
	if !u.endCleaning() {
		t.Error("the second cleaning was forgotten")
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	u.release("a")
	if u.made("") {
		t.Error("a cleaning that nobody wants any more")
	}
	if kept, _ := u.beginCleaning(); len(kept) != 0 {
		t.Errorf("still kept: %v", kept)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := u.make(ended); err == nil {
		t.Error("a task that was ended goes on")
	}
}
