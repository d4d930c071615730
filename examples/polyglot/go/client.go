// Package windlass is a client and a worker for Windlass: the stubs that gen/ holds, and what has to be
// known besides them. Copy it as the start of an SDK.
package windlass

//go:generate buf generate

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

// One call waits this long for the end of a run; Wait calls again until its context ends.
const waitAtOnce = 30 * time.Second

// Error is what the engine answered in place of a result. errors.As finds it.
type Error struct {
	Code   codes.Code              // groups
	Detail *windlassv1.ErrorDetail // tells exactly: reason, message, and the field or limit at fault
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (%s)", e.Detail.GetMessage(), e.Detail.GetReason())
}

// RunFailed says that a run ended FAILED, and how its last attempt failed, in whichever language.
type RunFailed struct {
	RunID   string
	Failure *windlassv1.Failure
}

func (e *RunFailed) Error() string {
	return fmt.Sprintf("run %s failed: %s: %s", e.RunID, e.Failure.GetType(), e.Failure.GetMessage())
}

// RunCancelled says that a run ended CANCELLED.
type RunCancelled struct{ RunID, Reason string }

func (e *RunCancelled) Error() string {
	return fmt.Sprintf("run %s was cancelled: %s", e.RunID, e.Reason)
}

// Client submits runs, waits for them, cancels and lists them. Any number of goroutines may share it.
type Client struct {
	conn *grpc.ClientConn
	runs windlassv1.RunServiceClient
}

// NewClient makes a client; it connects at its first call.
func NewClient(config Config) (*Client, error) {
	conn, err := config.dial(config.APIAddress)
	if err != nil {
		return nil, err
	}
	return &Client{conn, windlassv1.NewRunServiceClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Submit stores a run of the workflow and returns its id. Its input is anything that becomes JSON; options
// set whatever else the spec has: priority, queue, delay, metadata.
func (c *Client) Submit(ctx context.Context, workflow string, input any, options ...func(*windlassv1.RunSpec)) (string, error) {
	encoded, err := json.Marshal(input)
	if err != nil {
		return "", err
	}
	id, err := uuid.NewV7() // minted here, so that the call may be repeated without starting a second run
	if err != nil {
		return "", err
	}
	spec := &windlassv1.RunSpec{WorkflowName: workflow, InputJson: encoded}
	for _, option := range options {
		option(spec)
	}
	response, err := c.runs.SubmitRuns(ctx, &windlassv1.SubmitRunsRequest{
		Runs: []*windlassv1.RunSubmission{{RunId: id.String(), Spec: spec}},
	})
	if err != nil {
		return "", typed(err)
	}
	// Each of the runs of one call is accepted or refused by itself.
	if detail := response.GetOutcomes()[0].GetError(); detail != nil {
		return "", &Error{codes.InvalidArgument, detail}
	}
	return id.String(), nil
}

// Wait waits for the end of a run and decodes its output, unless output is nil. Its error is a RunFailed, a
// RunCancelled, an Error, or the context's.
func (c *Client) Wait(ctx context.Context, runID string, output any) error {
	request := &windlassv1.WaitResultRequest{RunId: runID, TimeoutMs: uint64(waitAtOnce.Milliseconds())}
	response, err := c.runs.WaitResult(ctx, request)
	for status.Code(err) == codes.DeadlineExceeded && ctx.Err() == nil {
		response, err = c.runs.WaitResult(ctx, request)
	}
	if err != nil {
		return typed(err)
	}
	switch result := response.GetResult(); result.GetStatus() {
	case windlassv1.RunStatus_RUN_STATUS_COMPLETED:
		if output == nil {
			return nil
		}
		return json.Unmarshal(result.GetOutputJson(), output)
	case windlassv1.RunStatus_RUN_STATUS_CANCELLED:
		return &RunCancelled{runID, result.GetCancelReason()}
	default:
		return &RunFailed{runID, result.GetFailure()}
	}
}

// Run submits and waits.
func (c *Client) Run(ctx context.Context, workflow string, input, output any) error {
	runID, err := c.Submit(ctx, workflow, input)
	if err != nil {
		return err
	}
	return c.Wait(ctx, runID, output)
}

// Cancel cancels a run: at once where it has not started; a worker that has it is told.
func (c *Client) Cancel(ctx context.Context, runID, reason string) (windlassv1.CancelOutcome, error) {
	response, err := c.runs.CancelRuns(ctx, &windlassv1.CancelRunsRequest{RunIds: []string{runID}, Reason: reason})
	if err != nil {
		return windlassv1.CancelOutcome_CANCEL_OUTCOME_UNSPECIFIED, typed(err)
	}
	return response.GetOutcomes()[0], nil
}

// List yields the runs that the filter describes, newest first, page after page. An error ends it.
func (c *Client) List(ctx context.Context, filter *windlassv1.ListRunsRequest) iter.Seq2[*windlassv1.Run, error] {
	return func(yield func(*windlassv1.Run, error) bool) {
		filter := proto.CloneOf(filter)
		for {
			page, err := c.runs.ListRuns(ctx, filter)
			if err != nil {
				yield(nil, typed(err))
				return
			}
			for _, run := range page.GetRuns() {
				if !yield(run, nil) {
					return
				}
			}
			// A page may hold no run and still have a next one.
			if page.GetNextPageToken() == "" {
				return
			}
			filter.PageToken = page.GetNextPageToken()
		}
	}
}

// typed gives the Error that a status carries as its detail; any other error stays what it is.
func typed(err error) error {
	for _, detail := range status.Convert(err).Details() {
		if detail, ok := detail.(*windlassv1.ErrorDetail); ok {
			return &Error{status.Code(err), detail}
		}
	}
	return err
}
