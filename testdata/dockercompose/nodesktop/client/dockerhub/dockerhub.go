// Package dockerhub has the words in which docker compose asks Docker Desktop who is signed in.
package dockerhub

import (
	"context"
	"errors"
	"time"
)

// ErrNoSession means that nobody is signed in.
var ErrNoSession = errors.New("nobody is signed in to Docker Desktop, which is not here")

// Option changes which Docker Hub is asked.
type Option struct{}

// Staging asks another one than the public one.
func Staging() Option { return Option{} }

// ClientAuth tells of the session.
type ClientAuth interface {
	GetDefaultSession(ctx context.Context) (UserSession, error)
	GetDefaultProfile(ctx context.Context) (Profile, error)
}

// UserSession is a session of a user of Docker Hub.
type UserSession struct {
	AccessToken string
	Claims      Claims
}

// Claims are what a session says of itself.
type Claims struct {
	Username  string
	ExpiresAt *time.Time
}

// Profile is the user's.
type Profile struct{ Username string }
