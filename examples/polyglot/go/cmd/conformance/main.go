// The tasks that tests/conformance drives a worker through.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/windlass"
)

type duration struct{ Ms int64 }

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	config, err := windlass.ConfigFromEnv()
	if err != nil {
		return err
	}
	slots, err := strconv.Atoi(cmp.Or(os.Getenv("CONFORMANCE_SLOTS"), "4"))
	if err != nil {
		return fmt.Errorf("CONFORMANCE_SLOTS: %w", err)
	}
	worker := windlass.NewWorker(config, "conformance-go", slots)
	worker.Handle("conformance.echo", echo, nil)
	worker.Handle("conformance.fail", fail, nil)
	worker.Handle("conformance.hold", hold, nil)
	worker.Handle("conformance.stubborn", stubborn, nil)
	worker.Handle("conformance.big", big, nil)
	worker.Handle("conformance.log", logLines, nil)

	return worker.Run(windlass.StopContext())
}

func echo(_ context.Context, job *windlass.Job) (any, error) {
	var input json.RawMessage
	return input, job.Bind(&input)
}

func fail(_ context.Context, job *windlass.Job) (any, error) {
	var input struct {
		Message   string
		Retryable bool
	}
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	if err := errors.New(input.Message); input.Retryable {
		return nil, err
	} else {
		return nil, windlass.Final(err)
	}
}

func hold(ctx context.Context, job *windlass.Job) (any, error) {
	var input duration
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(input.Ms) * time.Millisecond):
		return map[string]int64{"held": input.Ms}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func stubborn(_ context.Context, job *windlass.Job) (any, error) {
	var input duration
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(input.Ms) * time.Millisecond)
	return map[string]int64{"held": input.Ms}, nil
}

func big(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Bytes int }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	return map[string]string{"data": strings.Repeat("x", input.Bytes)}, nil
}

func logLines(_ context.Context, job *windlass.Job) (any, error) {
	var input struct{ Lines int }
	if err := job.Bind(&input); err != nil {
		return nil, err
	}
	for n := range input.Lines {
		job.Log("INFO", fmt.Sprintf("line %d", n+1))
	}
	return struct{}{}, nil
}
