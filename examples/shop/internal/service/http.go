package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Write answers with value as JSON.
func Write(w http.ResponseWriter, code int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n')) // an error means that the client went away
}

// Fail answers with code and {"error": …}.
func Fail(w http.ResponseWriter, code int, format string, args ...any) {
	Write(w, code, map[string]string{"error": fmt.Sprintf(format, args...)})
}

// Read decodes the request's JSON body into value. When it cannot, it answers
// 400 and returns false.
func Read(w http.ResponseWriter, r *http.Request, value any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(value)
	if err != nil {
		Fail(w, http.StatusBadRequest, "the body is not the JSON that is wanted here: %v", err)
	}
	return err == nil
}

// Pass answers with what another service refused (4xx), in its words, and with
// 503 when that service is down.
func Pass(w http.ResponseWriter, err error) {
	var status *StatusError
	if errors.As(err, &status) && !Down(err) {
		Fail(w, status.Code, "%s", status.Message)
		return
	}
	Fail(w, http.StatusServiceUnavailable, "%v", err)
}
