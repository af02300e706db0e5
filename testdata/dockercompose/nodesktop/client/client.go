// Package client is what docker compose needs of a module by which it asks Docker Desktop, on a machine that has none.
package client

import (
	"time"

	"github.com/docker/secrets-engine/client/dockerhub"
)

// Client asks Docker Desktop.
type Client struct{}

// Option changes how.
type Option struct{}

// WithSocketPath names its socket.
func WithSocketPath(string) Option { return Option{} }

// WithTimeout limits a question.
func WithTimeout(time.Duration) Option { return Option{} }

// ConnectError means that no Docker Desktop answers.
type ConnectError struct{}

func (*ConnectError) Error() string { return "there is no Docker Desktop" }

// New finds none.
func New(...Option) (*Client, error) { return nil, &ConnectError{} }

// HubAuth is never called, for New finds none.
func (*Client) HubAuth(...dockerhub.Option) dockerhub.ClientAuth { return nil }
